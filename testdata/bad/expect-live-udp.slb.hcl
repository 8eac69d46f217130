instance "a" { zone = "z1" }
instance "b" { zone = "z2" }
instance "c" {}

load_balancer "lb" {
  backend {
    address = "127.0.0.1"
    port    = 53
  }
  listener "udp" "53" {}
  expect "answered" {
    metric = "errors"
    max    = 0
    live   = true
  }
}
