instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {
    gzip         = true
    idle_timeout = 5
    sticky_session {
      type = "insert"
    }
    rule "tom" {
      url = "/tom"
    }
  }
}
