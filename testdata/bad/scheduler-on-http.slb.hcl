instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" { scheduler = "sch" }
  listener "tcp" "81" { scheduler = "qch" }
}
