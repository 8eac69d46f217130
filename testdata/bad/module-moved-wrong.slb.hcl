moved {
  from = module.web
  to   = module.web
}

moved {
  from = module.old
  to   = instance.b
}

moved {
  from = module.old.dns_zone["a.test"]
  to   = dns_zone["b.test"]
}

moved {
  from = module.old.web
  to   = module.new
}
