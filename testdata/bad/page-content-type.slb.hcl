instance "a" {
  page "/" {
    content      = "x"
    content_type = "a\nb"
  }
}
