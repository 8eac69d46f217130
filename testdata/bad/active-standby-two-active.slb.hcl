instance "a" { count = 2 }
server_group "pair" {
  type = "active_standby"
  backend {
    instance = instance.a[0]
    role     = "active"
  }
  backend {
    instance = instance.a[1]
    role     = "active"
  }
}
