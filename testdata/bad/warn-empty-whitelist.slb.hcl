instance "a" {}
acl "nobody" { entries = [] }
load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {
    acl      = acl.nobody
    acl_type = "white"
  }
}
