instance "a" {}
instance "b" {
  for_each = toset([instance.a.address])
}
