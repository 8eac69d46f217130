dns_zone "a.test" {
  record "www" "AA" { value = "127.0.0.1" }
}
