instance "a" { zone = "z1" }
instance "b" { zone = "z2" }
instance "c" {}

load_balancer "lb" {
  backend { instance = instance.a }
  backend { instance = instance.b }
  listener "tcp" "80" {}
  expect "survives" {
    metric = "errors"
    max    = 0
    during = "instance.a"
    live   = true
  }
}
