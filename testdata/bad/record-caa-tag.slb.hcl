dns_zone "a.test" {
  record "@" "CAA" { value = "0 iss-ue letsencrypt.org" }
}
