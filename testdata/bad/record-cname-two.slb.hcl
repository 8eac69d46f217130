dns_zone "a.test" {
  record "www" "CNAME" { values = ["a.test", "b.test"] }
}
