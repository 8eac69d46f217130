runtime {
  dns_address     = "127.0.0.1:5353"
  metrics_address = "127.0.0.1:5353"
}
instance "a" {}
