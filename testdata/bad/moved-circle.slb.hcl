instance "c" {}
moved {
  from = instance.a
  to   = instance.b
}
moved {
  from = instance.b
  to   = instance.a
}
