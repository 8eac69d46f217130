instance "a" {
  for_each = sensitive({ a = 1 })
}
