runtime {
  dns_address = "127.0.0.9:80"
}
instance "a" {
  address = "127.0.0.9"
}
