instance "a" {
  page "/" { file = "missing.html" }
}
