instance "a" {}
acl "office" { entries = ["10.0.0.0/8"] }
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    acl      = acl.office
    acl_type = null
    sticky_session {
      type   = "server"
      cookie = null
    }
    rule "tom" {
      domain = null
      redirect { port = 81 }
    }
  }
  listener "http" "81" {
    server_group = null
    redirect { port = 80 }
  }
}
