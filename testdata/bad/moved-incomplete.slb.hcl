instance "b" {}
moved {
  from = instance.a
}
moved {
  from = instance.a
  too  = instance.b
}
