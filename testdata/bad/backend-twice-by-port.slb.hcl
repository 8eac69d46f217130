instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  backend {
    instance = instance.a
    port     = 80
  }
  listener "tcp" "80" {}
}
