dns_zone "a.test" {
  count = 2
}
