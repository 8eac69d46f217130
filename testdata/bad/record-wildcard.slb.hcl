dns_zone "a.test" {
  record "a.*" "A" { value = "127.0.0.1" }
}
