instance "a" { zone = "x" }
instance "b" {}

load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {}
}

simulation "s" {
  target   = load_balancer.lb
  duration = "1m"
  traffic "t" { rate = 10 }
  deploy "v2" {
    at      = "10s"
    target  = instance.a
    batch   = 0
    startup = "2h"
  }
}
