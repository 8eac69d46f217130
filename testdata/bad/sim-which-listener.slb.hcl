instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {}
  listener "tcp" "81" {}
}
simulation "s" {
  target   = load_balancer.lb
  duration = 60
  traffic "t" { rate = 1 }
}
