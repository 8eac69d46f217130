runtime {
  dns_address = "10.0.0.1:53"
}
