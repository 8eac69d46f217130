instance "a" {
  dynamic "pages" {
    for_each = ["/"]
    labels   = [pages.value]
    content {}
  }
}
