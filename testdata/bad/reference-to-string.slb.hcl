instance "ECS01" {}
server_group "g" {
  backend { instance = "ECS01" }
}
