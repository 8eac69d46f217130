# Two web servers behind one load balancer, and a name for it: the SLB tutorial.
#
#   slbctl plan      what would change, and what that does to traffic
#   slbctl apply     make it so
#   slbctl status    who serves, how well, how much

instance "ECS01" {
  zone = "cn-hangzhou-b"
  page "/" { content = "Hello World ! This is ECS01.\n" }
}

instance "ECS02" {
  zone = "cn-hangzhou-d"
  page "/" { content = "Hello World ! This is ECS02.\n" }
}

load_balancer "SLB1" {
  address_type = "internet"
  primary_zone = "cn-hangzhou-b"
  backup_zone  = "cn-hangzhou-d"

  backend { instance = instance.ECS01 }
  backend { instance = instance.ECS02 }

  listener "tcp" "80" {
    backend_port = 80
    scheduler    = "rr"
    health_check { type = "tcp" }
  }
}

dns_zone "abc.com" {
  record "www" "A" { value = load_balancer.SLB1.address }
}

output "url" { value = load_balancer.SLB1.listener["tcp:80"].url }
