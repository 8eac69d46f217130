runtime { dns_address = "127.0.0.1:5353" }
instance "a" { protocol = "udp_echo" }
load_balancer "lb" {
  address = "127.0.0.1"
  backend { instance = instance.a }
  listener "udp" "5353" {}
}
