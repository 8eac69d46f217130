dns_zone "a.test" {
  record "@" "MX" { value = "70000 mail.abc.com" }
}
