instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "https" "443" {
    certificate       = certificate.local
    tls_cipher_policy = "tls_cipher_policy_1_3"
  }
}
certificate "local" {
  domains = ["a.test"]
}
