instance "a" { protocol = "tcp_echo" }

load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {}
}

simulation "s" {
  target   = load_balancer.lb
  duration = "1m"
  traffic "t" { rate = 10 }
  fault "f" {
    at     = "30s"
    target = instance.a
    mode   = "errors"
  }
}
