dns_zone "a.test" {
  record "@" "MX" { value = "10 mail" }
}
