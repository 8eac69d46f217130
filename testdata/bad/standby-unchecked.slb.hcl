instance "a" {}
instance "b" {}
server_group "pair" {
  type = "active_standby"
  backend {
    instance = instance.a
    role     = "active"
  }
  backend {
    instance = instance.b
    role     = "standby"
  }
}
load_balancer "lb" {
  listener "tcp" "80" {
    server_group = server_group.pair
    health_check { enabled = false }
  }
}
