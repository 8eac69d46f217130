instance "a" {
  lifecycle {
    ignore_changes = ["zone"]
  }
}
