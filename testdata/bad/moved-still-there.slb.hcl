instance "a" {}
instance "web" {
  count = 2
}
moved {
  from = instance.a
  to   = instance.b
}
moved {
  from = instance.web
  to   = instance.site
}
moved {
  from = instance.web[1]
  to   = instance.c
}
