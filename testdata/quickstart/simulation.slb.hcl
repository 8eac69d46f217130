# What happens when ECS02 dies for a minute? `slbctl sim` replays it in virtual
# time on the code that balances, and holds the answer to these expectations.

simulation "ecs02-dies" {
  target   = load_balancer.SLB1
  duration = "5m"
  warmup   = "10s"
  seed     = 42

  traffic "browse" {
    rate    = 500 # connections a second
    clients = { count = 20000, network = "203.0.113.0/24" }
  }

  fault "outage" {
    at     = "2m"
    for    = "1m"
    target = instance.ECS02
    mode   = "refuse"
  }

  expect "even" {
    metric = "share"
    of     = instance.ECS01
    min    = 0.499
    max    = 0.501
    during = "steady"
  }

  expect "nobody-notices" {
    metric = "errors"
    max    = 0
    during = "all"
  }
}
