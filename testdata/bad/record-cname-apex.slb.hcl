dns_zone "a.test" {
  record "@" "CNAME" { value = "b.test" }
}
