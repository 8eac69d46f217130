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
    metric = "errors"
    max    = 0
    live   = true
  }
}
