instance "a" {}
server_group "g" {
  backend { instance = instance.a }
}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    rule "api" {
      url          = "/api"
      server_group = server_group.g
    }
    rule "shop" {
      domain       = "shop.abc.com"
      url          = "/cart"
      server_group = server_group.g
    }
    rule "rest" {
      domain       = "*.abc.com"
      server_group = server_group.g
    }
  }
}
