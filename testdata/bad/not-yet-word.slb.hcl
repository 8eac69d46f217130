dns_zone "abc.com" {
  record "@" "MX" { value = "10 mail.abc.com" }
}
