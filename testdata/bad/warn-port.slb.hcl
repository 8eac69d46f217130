instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" { backend_port = 8080 }
}
