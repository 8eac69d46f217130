dns_zone "a.test" {
  record "www" "A" {
    values  = ["127.0.0.1", "127.0.0.2"]
    weights = [0, 0]
  }
}
