instance "a" { zone = "z1" }
instance "b" { zone = "z2" }
instance "c" {}

load_balancer "lb" {
  backend { instance = instance.a }
  backend { instance = instance.b }
  listener "tcp" "80" { slow_start = "30s" }
  expect "even" {
    metric = "share"
    of     = instance.a
    max    = 0.5
    live   = true
  }
}
