instance "web" {}
instance "echo" {
  protocol = "udp_echo"
  ports    = [53]
}
load_balancer "lb" {
  backend { instance = instance.web }
  listener "udp" "53" {}
  listener "http" "80" { server_group = server_group.echo }
}
server_group "echo" {
  backend { instance = instance.echo }
}
