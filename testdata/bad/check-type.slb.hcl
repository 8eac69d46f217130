instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    health_check { type = "tcp" }
  }
  listener "tcp" "81" {
    health_check { type = "udp" }
  }
}
