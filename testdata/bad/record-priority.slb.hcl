dns_zone "a.test" {
  record "@" "MX" {
    value    = "mail.b.test"
    priority = 10
  }
}
