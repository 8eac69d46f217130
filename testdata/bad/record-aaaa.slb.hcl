dns_zone "a.test" {
  record "www" "AAAA" { value = "127.0.0.1" }
}
