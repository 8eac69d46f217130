dns_zone "a.test" {
  record "@" "CAA" { value = "256 issue letsencrypt.org" }
}
