instance "b" {}
moved {
  from = instance.b
  to   = instance["b"]
}
