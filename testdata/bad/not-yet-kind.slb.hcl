certificate "site" {
  domains = ["www.abc.com"]
}
