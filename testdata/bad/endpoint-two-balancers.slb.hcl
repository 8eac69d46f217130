instance "a" { protocol = "udp_echo" }
load_balancer "one" {
  address = "127.10.0.9"
  backend { instance = instance.a }
  listener "udp" "80" {}
}
load_balancer "two" {
  address = "127.10.0.9"
  backend { instance = instance.a }
  listener "udp" "80" {}
  listener "udp" "81" {}
}
