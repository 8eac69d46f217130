instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {
    acl_id     = "acl-1"
    acl_status = "on"
  }
}
