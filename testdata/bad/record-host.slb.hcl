dns_zone "a.test" {
  record "w_w!" "A" { value = "127.0.0.1" }
}
