certificate "local" {
  domains = ["a.test"]
}
instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    certificate           = certificate.local
    server_certificate_id = "x"
    http2                 = false
  }
}
