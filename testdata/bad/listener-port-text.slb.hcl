load_balancer "lb" {
  listener "tcp" "http" {}
}
