instance "a" {}
load_balancer "lb" {
  bandwidth = 10
  backend { instance = instance.a }
  listener "tcp" "80" { bandwidth = 10 }
  listener "tcp" "81" {}
}
