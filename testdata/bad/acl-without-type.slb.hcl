instance "a" {}
acl "office" { entries = ["10.0.0.0/8"] }
load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" { acl = acl.office }
}
