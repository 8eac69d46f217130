# Same domain, different URLs: www.aaa.com/tom goes to one group of servers,
# www.aaa.com/jerry to another, everything else of the domain to both.
#
#   slbctl apply     make it so
#   slbctl status    who serves, how well, how much
#
# The balancer's address is in the output. Without asking the name server:
#
#   curl --resolve www.aaa.com:80:127.10.0.6 http://www.aaa.com/tom

# Four web servers. A page matches its path exactly, so each server has the pages
# that can be asked of it.

instance "tom1" {
  zone = "cn-hangzhou-b"
  page "/" { content = "Home, from tom1.\n" }
  page "/tom" { content = "Tom, from tom1.\n" }
}

instance "tom2" {
  zone = "cn-hangzhou-d"
  page "/" { content = "Home, from tom2.\n" }
  page "/tom" { content = "Tom, from tom2.\n" }
}

instance "jerry1" {
  zone = "cn-hangzhou-b"
  page "/" { content = "Home, from jerry1.\n" }
  page "/jerry" { content = "Jerry, from jerry1.\n" }
}

instance "jerry2" {
  zone = "cn-hangzhou-d"
  page "/" { content = "Home, from jerry2.\n" }
  page "/jerry" { content = "Jerry, from jerry2.\n" }
}

# Groups are what listeners and rules send to, and they may share them.

server_group "TOM" {
  backend { instance = instance.tom1 }
  backend { instance = instance.tom2 }
}

server_group "JERRY" {
  backend { instance = instance.jerry1 }
  backend { instance = instance.jerry2 }
}

server_group "ALL" {
  backend { instance = instance.tom1 }
  backend { instance = instance.tom2 }
  backend { instance = instance.jerry1 }
  backend { instance = instance.jerry2 }
}

load_balancer "SLB1" {
  primary_zone = "cn-hangzhou-b"
  backup_zone  = "cn-hangzhou-d"

  listener "http" "80" {
    scheduler    = "rr"
    server_group = server_group.ALL # what no rule is for: other domains

    # Of the rules for a domain the one with the longest prefix of the URL wins, in
    # whatever order they stand here.

    rule "tom" {
      domain       = "www.aaa.com"
      url          = "/tom"
      server_group = server_group.TOM
    }

    rule "jerry" {
      domain       = "www.aaa.com"
      url          = "/jerry"
      server_group = server_group.JERRY
    }

    # Without this one, other URLs of www.aaa.com would get 404.
    rule "home" {
      domain       = "www.aaa.com"
      server_group = server_group.ALL
    }
  }
}

dns_zone "aaa.com" {
  record "www" "A" { value = load_balancer.SLB1.address }
}

output "url" { value = load_balancer.SLB1.listener["http:80"].url }
