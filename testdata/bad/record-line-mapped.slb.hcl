dns_zone "a.test" {
  record "www" "A" {
    value = "127.0.0.1"
    line  = "::ffff:10.0.0.0/104"
  }
}
