server_group "g" {
  backend {
    port = 80
  }
}
