instance "a" {
  page "/" { content = "1" }
  page "/" { content = "2" }
}
