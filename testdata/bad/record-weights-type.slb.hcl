dns_zone "a.test" {
  record "www" "MX" {
    value   = "10 mail.b.test"
    weights = [1]
  }
}
