instance "a" {}
server_group "g" {
  count = 0
  backend { instance = instance.a }
}
load_balancer "lb" {
  listener "tcp" "80" {
    server_group = server_group.g
  }
}
