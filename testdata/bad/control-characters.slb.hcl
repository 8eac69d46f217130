instance "a" {
  zone = "[31m" + 1
}
