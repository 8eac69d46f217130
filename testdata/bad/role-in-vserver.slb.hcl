instance "a" {}
server_group "g" {
  backend {
    instance = instance.a
    role     = "active"
  }
}
load_balancer "lb" {
  backend {
    instance = instance.a
    role     = "standby"
  }
}
