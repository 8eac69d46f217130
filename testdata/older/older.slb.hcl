# A configuration that slbctl 0.1 applied, and slbctl.state.json as it left it.
runtime {
  network     = "127.30.0.0/24"
  port_offset = 20000
}

instance "web" {
  count = 2
  zone  = "cn-hangzhou-${["b", "d"][count.index]}"
  page "/" { content = "${count.index}\n" }
}

instance "echo" {
  ports    = [7]
  protocol = "tcp_echo"
}

server_group "web" {
  backend { instance = instance.web[0] }
  backend {
    instance = instance.web[1]
    weight   = 50
  }
}

load_balancer "SLB1" {
  primary_zone = "cn-hangzhou-b"
  backup_zone  = "cn-hangzhou-d"

  backend { instance = instance.echo }
  backend {
    address = "127.0.0.1"
    port    = 9
    weight  = 0
  }

  listener "tcp" "80" {
    server_group = server_group.web
    scheduler    = "wlc"
    drain        = "1s"
    health_check {
      interval = "1s"
      port     = 80
    }
  }

  listener "tcp" "7" {
    established_timeout = "1m"
    when_all_unhealthy  = "forward"
    health_check { enabled = false }
  }
}

dns_zone "abc.com" {
  record "www" "A" { value = load_balancer.SLB1.address }
}

output "url" { value = load_balancer.SLB1.listener["tcp:80"].url }
