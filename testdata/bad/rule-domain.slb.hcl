instance "a" {}
server_group "g" {
  backend { instance = instance.a }
}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    rule "inside" {
      domain       = "www.*.com"
      server_group = server_group.g
    }
    rule "port" {
      domain       = "www.abc.com:80"
      server_group = server_group.g
    }
    rule "everything" {
      domain       = "*"
      server_group = server_group.g
    }
  }
}
