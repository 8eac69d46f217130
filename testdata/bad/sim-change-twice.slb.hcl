instance "a" { zone = "x" }
instance "b" {}

load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {}
}

simulation "s" {
  target   = load_balancer.lb
  duration = "1m"
  traffic "t" { rate = 10 }
  change "one" { at = "10s" }
  change "two" { at = "20s" }
}
