instance "a" {
  zone = "z
}
