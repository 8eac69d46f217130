instance "a" {
  zone = instance.b.zone
}
instance "b" {
  zone = instance.a.zone
}
