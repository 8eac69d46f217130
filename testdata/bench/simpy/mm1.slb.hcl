instance "only" {}

load_balancer "SLB1" {
  backend { instance = instance.only }
  listener "tcp" "80" { scheduler = "rr" }
}

simulation "mm1" {
  target   = load_balancer.SLB1
  duration = "1250s"
  traffic "all" { rate = 800 }
  service {
    time    = "1ms"
    workers = 1
    queue   = 65536
  }
}
