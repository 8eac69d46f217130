instance "a" { protocol = "udp_echo" }
load_balancer "lb" {
  backend { instance = instance.a }
  listener "udp" "443" { quic_id_length = 8 }
}
