instance "a" {}
server_group "g" {
  backend { instance = instance.a }
  backend { instance = instance.a }
}
