instance "b" {}
moved {
  from = instance.a
  to   = server_group.b
}
moved {
  from = load_balancer.lb.listener["tcp:80"]
  to   = load_balancer.lb.listener["tcp:81"]
}
moved {
  from = dns_zone["a.test"]
  to   = dns_zone["b.test"]
}
moved {
  from = dns_zone["a.test"].record["www:A"]
  to   = dns_zone["a.test"].record["web:A"]
}
moved {
  from = load_balancer.lb.listener["http:80"].rule["a"]
  to   = load_balancer.lb.listener["http:81"].rule["a"]
}
