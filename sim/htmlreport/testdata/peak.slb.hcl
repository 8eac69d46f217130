instance "ECS01" { zone = "cn-hangzhou-b" }
instance "ECS02" { zone = "cn-hangzhou-b" }
instance "ECS03" { zone = "cn-hangzhou-d" }

load_balancer "SLB1" {
  backend { instance = instance.ECS01 }
  backend { instance = instance.ECS02 }
  backend {
    instance = instance.ECS03
    weight   = 50
  }
  listener "tcp" "80" { scheduler = "wlc" }
}

simulation "checkout-peak" {
  target   = load_balancer.SLB1
  duration = "10m"
  warmup   = "30s"

  traffic "browse" {
    rate    = 900
    clients = { count = 20000, network = "203.0.113.0/24" }
  }
  service {
    time    = "8ms"
    workers = 4
    queue   = 64
  }
  fault "ecs02-dies" {
    at     = "2m30s"
    for    = "1m"
    target = instance.ECS02
    mode   = "hang"
  }
  fault "ecs01-struggles" {
    at     = "6m30s"
    for    = "50s"
    target = instance.ECS01
    mode   = "slow"
    factor = 6
  }
  expect "nobody-notices" {
    metric = "errors"
    max    = 0
  }
  expect "quick" {
    metric = "p99"
    max    = "60ms"
    during = "steady"
  }
  expect "rare" {
    metric = "p999"
    max    = "90ms"
    during = "ecs01-struggles"
  }
}

simulation "outage" {
  target   = load_balancer.SLB1
  duration = "1m"
  traffic "browse" {
    rate     = 100
    arrivals = "constant"
  }
  fault "dead" {
    at     = "20s"
    for    = "10s"
    target = instance.ECS03
    mode   = "refuse"
  }
  expect "nobody-notices" {
    metric = "errors"
    max    = 0
  }
}
