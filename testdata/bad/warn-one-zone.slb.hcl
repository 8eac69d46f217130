instance "a" {
  count = 2
  zone  = "z1"
}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {}
}
