dns_zone "a.test" {
  record "@" "MX" { value = "mail.abc.com" }
}
