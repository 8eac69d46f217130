instance "a" {
  count = null
}
