load_balancer "lb" {}
simulation "s" {
  target   = load_balancer.lb
  duration = 60
  traffic "t" { rate = 1 }
}
