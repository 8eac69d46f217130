dns_zone "a.test" {
  record "www" "CNAME" { value = "a..b" }
}
