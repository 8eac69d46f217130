instance "a" { zone = "z1" }
instance "b" { zone = "z2" }
instance "c" {}

load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {}
  expect "kept" {
    metric = "errors"
    max    = 0
  }
  expect "kept" {
    metric = "error_rate"
    max    = 0
  }
}
