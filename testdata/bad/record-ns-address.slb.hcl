dns_zone "a.test" {
  record "sub" "NS" { value = "127.0.0.1" }
}
