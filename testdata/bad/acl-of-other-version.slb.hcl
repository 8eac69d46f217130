instance "a" {}
acl "office" {
  ip_version = "ipv6"
  entries    = ["2001:db8::/32"]
}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {
    acl      = acl.office
    acl_type = "black"
  }
}
