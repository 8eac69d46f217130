instance "a" {
  count = 100001
}
