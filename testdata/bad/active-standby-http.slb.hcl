instance "a" { count = 2 }
server_group "pair" {
  type = "active_standby"
  backend {
    instance = instance.a[0]
    role     = "active"
  }
  backend {
    instance = instance.a[1]
    role     = "standby"
  }
}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" { server_group = server_group.pair }
  listener "http" "81" {
    rule "tom" {
      url          = "/tom"
      server_group = server_group.pair
    }
  }
  listener "tcp" "82" { server_group = server_group.pair }
}
