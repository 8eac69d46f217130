instance "ECS01" {}
server_group "g" {
  backend { instance = instance.ECS01.address }
}
