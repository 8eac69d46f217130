instance "a" {}
server_group "g" {
  backend { instance = instance.a }
}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    rule "tom" {
      url          = "/tom"
      server_group = server_group.g
      scheduler    = "tch"
    }
  }
}
