instance "a" {}
server_group "g" {
  backend { instance = instance.a }
}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    rule "tom" {
      domain       = "www.abc.com"
      url          = "/tom"
      server_group = server_group.g
    }
    rule "thomas" {
      domain       = "WWW.abc.com"
      url          = "/t%6Fm"
      server_group = server_group.g
    }
  }
}
