instance "a" {
  count = 0
}
server_group "g" {
  backend { instance = instance.a }
}
