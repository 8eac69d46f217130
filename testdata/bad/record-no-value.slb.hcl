dns_zone "a.test" {
  record "www" "A" {}
}
