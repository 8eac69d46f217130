instance "a" {
  depends_on = [load_balancer.lb]
  provisioner "local-exec" {
    command = "true"
  }
}

load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {
    frontend_port = 80
    backend_port  = 80
    bandwidth     = -1
  }
  timeouts {}
}
