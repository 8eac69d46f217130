instance "a" { zone = "z1" }
instance "b" { zone = "z2" }
instance "c" {}

load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {}
  expect "even" {
    metric = "share"
    of     = instance.b
    max    = 1
  }
}
