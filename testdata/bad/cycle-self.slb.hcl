instance "a" {
  zone = instance.a.zone
}
