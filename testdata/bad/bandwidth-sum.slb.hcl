instance "a" {}
load_balancer "lb" {
  bandwidth = 10
  backend { instance = instance.a }
  listener "tcp" "80" { bandwidth = 6 }
  listener "tcp" "81" {}
  listener "tcp" "82" { bandwidth = 5 }
}
