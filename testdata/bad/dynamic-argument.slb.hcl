instance "a" {
  dynamic "page" {
    for_each = ["/"]
    labels   = [page.value]
    content {
      contents = "x"
    }
  }
}
