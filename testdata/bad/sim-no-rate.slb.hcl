instance "a" {}

load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {}
}

simulation "s" {
  target   = load_balancer.lb
  duration = "1m"
  traffic "t" {
    arrivals = "constant"
  }
}
