instance "a" {
  command = ["true"]
  page "/" { content = "x" }
}
