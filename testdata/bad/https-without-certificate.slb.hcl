instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "https" "443" {}
}
