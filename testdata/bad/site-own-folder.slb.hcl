instance "a" {
  site = "."
}
