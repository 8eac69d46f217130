instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {}
}
removed {
  from = load_balancer.lb.listener["tcp:80"]
  lifecycle {
    destroy = false
  }
}
