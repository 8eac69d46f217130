dns_zone "-abc.com" {}
