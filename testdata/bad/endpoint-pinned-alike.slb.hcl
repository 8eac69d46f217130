instance "a" {
  address = "127.0.0.9"
}
instance "b" {
  address = "127.0.0.9"
}
