dns_zone "a.test" {
  record "5" "PTR" { value = "a..b" }
}
