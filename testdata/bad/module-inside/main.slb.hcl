load_balancer "lb" {
  backend {
    address = "127.0.0.1"
    port    = 80
  }
  schedular = "rr"
  listener "tcp" "80" { bandwidth = 1 + each.key }
}

output "x" { value = path.cwd }
output "y" { value = instance.a.address }
