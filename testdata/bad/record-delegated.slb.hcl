dns_zone "a.test" {
  record "sub" "NS" { value = "ns.sub.a.test" }
  record "ns.sub" "A" { value = "127.0.0.1" }
  record "www.sub" "TXT" { value = "x" }
}
