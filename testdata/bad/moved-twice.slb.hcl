instance "b" {}
moved {
  from = instance.a
  to   = instance.b
}
removed {
  from = instance.a
}
