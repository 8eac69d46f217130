instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    retry {
      attempts = 0
      on       = ["conect"]
    }
  }
}
