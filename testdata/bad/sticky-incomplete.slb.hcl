instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    sticky_session { type = "insert" }
  }
  listener "http" "81" {
    sticky_session { type = "server" }
  }
  listener "http" "82" {
    sticky_session {
      type           = "server"
      cookie         = "SID"
      cookie_timeout = 60
    }
  }
  listener "http" "83" {
    sticky_session {}
  }
}
