instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {
    health_check { uri = "/" }
  }
  listener "http" "81" {
    health_check {
      request = "PING"
    }
  }
}
