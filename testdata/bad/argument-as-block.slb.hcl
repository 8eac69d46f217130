instance "a" {
  tags {
    a = "b"
  }
}
