instance "a" { zone = "z1" }
instance "b" { zone = "z2" }
instance "c" {}

load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {}
  expect "sure" {
    metric     = "error_rate"
    max        = 0.1
    confidence = 0.9
  }
}
