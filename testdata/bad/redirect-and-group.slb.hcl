instance "a" {}
server_group "g" {
  backend { instance = instance.a }
}
load_balancer "lb" {
  listener "http" "80" {
    server_group = server_group.g
    redirect { port = 81 }
    rule "tom" {
      url          = "/tom"
      server_group = server_group.g
      redirect { port = 81 }
    }
  }
  listener "http" "81" { server_group = server_group.g }
}
