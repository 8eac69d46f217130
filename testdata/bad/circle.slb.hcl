runtime { port_offset = 8000 }
load_balancer "alone" {
  address = "127.10.0.9"
  backend {
    address = "127.10.0.9"
    port    = 8080
  }
  listener "http" "80" {}
  listener "http" "81" {}
  listener "http" "82" {
    server_group = server_group.far
    rule "back" {
      url          = "/x"
      server_group = server_group.back
    }
  }
}
server_group "far" {
  backend {
    address = "127.10.0.9"
    port    = 82
  }
}
server_group "back" {
  backend {
    address = "127.10.0.9"
    port    = 8082
  }
}
load_balancer "there" {
  address = "127.10.0.10"
  backend {
    address = load_balancer.back.address
    port    = 9000
  }
  listener "tcp" "9000" {}
  listener "udp" "9000" {}
}
load_balancer "back" {
  address = "127.10.0.11"
  backend {
    address = "127.10.0.10"
    port    = 9000
  }
  listener "http" "9000" {}
}
