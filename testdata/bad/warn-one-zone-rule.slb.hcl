instance "a" {
  count = 2
  zone  = "z1"
}
instance "b" { zone = "z2" }
server_group "g" {
  backend { instance = instance.a }
}
load_balancer "lb" {
  backend { instance = instance.a[0] }
  backend { instance = instance.b }
  listener "http" "80" {
    rule "tom" {
      url          = "/tom"
      server_group = server_group.g
    }
  }
}
