instance "a" {
  count = "2"
}
