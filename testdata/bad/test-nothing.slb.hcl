instance "a" {}
instance "b" {}

load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    rule "tom" {
      url          = "/tom"
      server_group = server_group.tom
    }
  }
}

server_group "tom" {
  backend { instance = instance.a }
}

test "site" {
  request { url = "http://${load_balancer.lb.address}/" }
  expect {
    rule         = "tim"
    server_group = "server_group.tim"
    server       = "127.0.0.1:8080"
  }
}
