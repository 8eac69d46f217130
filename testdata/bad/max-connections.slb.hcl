instance "a" {}
server_group "g" {
  backend {
    instance        = instance.a
    max_connections = -1
    protocol        = "h2"
  }
}
