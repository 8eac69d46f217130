instance "a" {}

load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {}
}

simulation "s" {
  target   = load_balancer.lb
  duration = "1m"
  traffic "t" { rate = 10 }
  expect "e" {
    metric = "p99"
    max    = "20ms"
  }
  fault "f" {
    at     = 1
    target = instance.a
    mode   = "slow"
  }
}
