instance "a" {
  count = -1
}
