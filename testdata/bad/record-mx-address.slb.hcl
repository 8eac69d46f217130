dns_zone "a.test" {
  record "@" "MX" { value = "10 127.0.0.1" }
}
