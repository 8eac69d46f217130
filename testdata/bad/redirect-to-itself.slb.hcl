load_balancer "lb" {
  listener "http" "80" {
    redirect { port = 80 }
  }
}
