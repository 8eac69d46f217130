instance "blue" {}
server_group "g" {
  backend { instance = instance.something }
}
