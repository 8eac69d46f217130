dns_zone "a.test" {
  record "*" "A" {
    value   = "127.0.0.1"
    weights = [1]
  }
}
