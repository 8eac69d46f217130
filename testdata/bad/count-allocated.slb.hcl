instance "a" {}
instance "b" {
  count = length(instance.a.address)
}
