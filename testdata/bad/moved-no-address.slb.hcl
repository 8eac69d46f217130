instance "b" {}
moved {
  from = "instance.a"
  to   = instance
}
moved {
  from = listener.x
  to   = instance.b
}
removed {
  from = load_balancer.lb.listener
}
