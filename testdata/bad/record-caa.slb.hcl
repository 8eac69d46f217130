dns_zone "a.test" {
  record "@" "CAA" { values = ["0 issue letsencrypt.org", "issue letsencrypt.org"] }
}
