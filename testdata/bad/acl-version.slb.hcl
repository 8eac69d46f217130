acl "office" {
  entries = ["10.0.0.0/8", "2001:db8::/32"]
}
