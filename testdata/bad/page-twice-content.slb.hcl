instance "a" {
  page "/" {
    content = "x"
    file    = "y"
  }
}
