instance "a" {
  page "/" { content = file("../../etc/passwd") }
}
