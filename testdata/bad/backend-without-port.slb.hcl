server_group "g" {
  backend {
    address = "127.0.0.1"
  }
}
