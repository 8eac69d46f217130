instance "a" {}
server_group "g" {
  backend { instance = instance.a }
}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    rule "root" {
      url          = "/"
      server_group = server_group.g
    }
    rule "slashes" {
      url          = "/%2F"
      server_group = server_group.g
    }
    rule "relative" {
      url          = "tom"
      server_group = server_group.g
    }
    rule "dots" {
      url          = "/a/../b"
      server_group = server_group.g
    }
    rule "escape" {
      url          = "/100%"
      server_group = server_group.g
    }
    rule "characters" {
      url          = "/a b"
      server_group = server_group.g
    }
    rule "backslash" {
      url          = "/a%5Cb"
      server_group = server_group.g
    }
  }
}
