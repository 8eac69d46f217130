instance "a" {
  zon = "z"
  ports = [0]
}
dns_zone "a.test" {
  record "www" "A" { value = instance.b.address }
}
