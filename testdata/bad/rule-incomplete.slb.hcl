instance "a" {}
server_group "g" {
  backend { instance = instance.a }
}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    rule "a" { server_group = server_group.g }
    rule "b" { url = "/b" }
    rule "c" {
      url = "/c"
      redirect { port = 81 }
      sticky_session {
        type   = "server"
        cookie = "SID"
      }
    }
  }
  listener "http" "81" {}
}
