instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "https" "443" {
    certificate = certificate.local
    additional_certificate "a.test" { certificate = certificate.local }
    additional_certificate "A.test" { certificate = certificate.local }
  }
}
certificate "local" {
  domains = ["a.test"]
}
