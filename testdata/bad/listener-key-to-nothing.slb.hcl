instance "a" {}

load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {

  }
}
output "x" { value = load_balancer.lb.listener["tcp:81"].url }
