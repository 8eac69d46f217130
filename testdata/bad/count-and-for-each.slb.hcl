instance "a" {
  count    = 1
  for_each = {}
}
