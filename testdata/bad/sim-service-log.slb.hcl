instance "a" {}

load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {}
}

simulation "s" {
  target   = load_balancer.lb
  duration = "1m"
  traffic "t" { rate = 10 }
  service {
    log          = "access.log"
    time         = "8ms"
    distribution = "constant"
  }
}
simulation "none" {
  target   = load_balancer.lb
  duration = "1m"
  traffic "t" { rate = 10 }
  service { workers = 2 }
}
