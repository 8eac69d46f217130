instance "a" { zone = "z1" }
instance "b" { zone = "z2" }
instance "c" {}

load_balancer "lb" {
  backend { instance = instance.a }
  expect "kept" {
    metric = "errors"
    max    = 0
  }
}
