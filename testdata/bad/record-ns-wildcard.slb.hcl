dns_zone "a.test" {
  record "*" "NS" { value = "ns.b.test" }
}
