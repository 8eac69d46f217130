instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    persistence_timeout = 60
    proxy_protocol      = "v2"
    quic_id_length      = 8
  }
}
