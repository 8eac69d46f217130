instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    sticky_session {
      type   = "server"
      cookie = "$a"
    }
  }
  listener "http" "81" {
    sticky_session {
      type           = "insert"
      cookie         = "a;b"
      cookie_timeout = "25h"
    }
  }
}
