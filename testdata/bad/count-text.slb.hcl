instance "a" {
  count = "two"
}
