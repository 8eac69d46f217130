server_group "g" {
  backend {
    address = "127.0.0.1"
    port    = 80
  }
  backend {
    address = "127.0.0.1"
    port    = 80
    weight  = 1
  }
}
