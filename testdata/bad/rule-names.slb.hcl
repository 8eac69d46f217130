instance "a" {}
server_group "g" {
  backend { instance = instance.a }
}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    rule "tom" {
      path     = "/tom"
      host     = "www.abc.com"
      priority = 1
    }
  }
}
output "x" { value = load_balancer.lb.listener["http:80"].rule["jerry"].url }
