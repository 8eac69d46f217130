instance "a" {
  count = 1
  zone  = each.key
}
