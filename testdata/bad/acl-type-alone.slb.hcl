instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" { acl_type = "white" }
}
