dns_zone "a.test" {
  record "www" "A" { value = "127.0.0.1" }
  record "www" "A" {
    value = "127.0.0.2"
    line  = "10.0.0.0/8"
  }
  record "www" "A" {
    value = "127.0.0.3"
    line  = "10.0.0.0/8"
  }
}
