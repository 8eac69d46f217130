instance "a" {}

load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    additional_certificate "www.abc.com" {
      certificate = "x"
    }
  }
}
