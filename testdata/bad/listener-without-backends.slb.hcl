load_balancer "lb" {
  listener "tcp" "80" {}
}
