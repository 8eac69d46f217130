dns_zone "a.test" {
  record "@" "MX" { values = ["0 .", "10 mail.abc.com"] }
}
