instance "a" {
  page "/" {
    content = "x"
    headers = { "X Y" = "z" }
  }
}
