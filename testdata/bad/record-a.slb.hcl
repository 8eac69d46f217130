dns_zone "a.test" {
  record "www" "A" { value = "::1" }
}
