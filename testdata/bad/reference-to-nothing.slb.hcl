instance "ECS01" {}
server_group "g" {
  backend { instance = instance.ECS1 }
}
