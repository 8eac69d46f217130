instance "a" {}
server_group "g" {
  backend {
    instance = instance.a
    weight   = 0
  }
}
