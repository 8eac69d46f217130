dns_zone "a.test" {
  record "_sip._tcp" "SRV" { value = "10 5060 sip.abc.com" }
}
