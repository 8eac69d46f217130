load_balancer "lb" {
  listener "tcp" {}
}
