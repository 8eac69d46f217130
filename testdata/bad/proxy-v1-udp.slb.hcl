instance "a" { protocol = "udp_echo" }
load_balancer "lb" {
  backend { instance = instance.a }
  listener "udp" "53" { proxy_protocol = "v1" }
}
