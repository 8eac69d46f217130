instance "a" {}
load_balancer "lb" {
  bandwidth = -1
  backend { instance = instance.a }
  listener "tcp" "80" { bandwidth = 6000 }
}
