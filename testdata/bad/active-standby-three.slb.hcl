instance "a" { count = 3 }
server_group "pair" {
  type = "active_standby"
  backend {
    instance = instance.a
    role     = "active"
  }
}
