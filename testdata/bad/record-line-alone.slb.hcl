dns_zone "a.test" {
  record "www" "A" {
    value = "127.0.0.1"
    line  = "10.0.0.0/8"
  }
}
