instance "a" {}

load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {}
}

simulation "s" {
  target   = load_balancer.lb
  duration = "1m"
  traffic "t" { rate = 10 }
  service { time = "8ms" }
  fault "f" {
    at     = 1
    target = instance.a
    factor = 3
    period = 4
  }
}
