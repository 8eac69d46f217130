instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "udp" "53" {
    accept_proxy_protocol = true
  }
}
