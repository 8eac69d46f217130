instance "a" {}
server_group "g" {
  backend { instance = instance.a }
}
load_balancer "lb" {
  listener "tcp" "80" {
    server_group = instance.a
  }
}
