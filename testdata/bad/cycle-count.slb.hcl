instance "a" {
  count = length(instance.b)
}
instance "b" {
  count = length(instance.a)
}
