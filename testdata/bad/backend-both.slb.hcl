instance "a" {}
server_group "g" {
  backend {
    instance = instance.a
    address  = "127.0.0.1"
    port     = 80
  }
}
