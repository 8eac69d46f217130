instance "web" {}

load_balancer "lb" {
  address = "127.10.0.9"
  backend { instance = instance.web }
  listener "tcp" "80" {}
}

dns_zone "abc.com" {
  record "www" "A" { value = load_balancer.lb.address }
}
