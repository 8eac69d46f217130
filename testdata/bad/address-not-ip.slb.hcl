instance "a" {
  address = "localhost"
}
