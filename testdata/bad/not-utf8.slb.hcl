instance "a" {
  zone = "ÿ"
}
