acl "office" {
  ip_version = "ipv6"
  entries    = ["::ffff:10.0.0.1"]
}
