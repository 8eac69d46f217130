load_balancer "lb" {
  listener "tcp" "0" {}
}
