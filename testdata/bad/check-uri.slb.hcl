instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    health_check {
      uri        = "health"
      domain     = "a b"
      method     = "post"
      http_codes = ["http_2xx", "http_1xx"]
    }
  }
}
