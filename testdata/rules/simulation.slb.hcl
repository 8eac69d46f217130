# Who serves what, and what happens when tom2 dies for a minute? `slbctl sim` replays
# it in virtual time on the code that routes, and holds the answer to these expectations.

simulation "tom2-dies" {
  target   = load_balancer.SLB1
  duration = "5m"
  warmup   = "10s"
  seed     = 42

  traffic "browsers" {
    rate    = 500 # requests a second
    clients = { count = 20000, network = "203.0.113.0/24" }
    session = { requests = 8, cookies = true, connections = 1 }
    request = [
      { weight = 6, host = "www.aaa.com", path = "/tom" },
      { weight = 3, host = "www.aaa.com", path = "/jerry" },
      { weight = 1, host = "www.aaa.com", path = "/" },
    ]
  }

  fault "outage" {
    at     = "2m"
    for    = "1m"
    target = instance.tom2
    mode   = "refuse"
  }

  expect "nobody-notices" {
    metric = "errors"
    max    = 0
  }

  # Without the rule "home" every tenth request would get 404.
  expect "every-url-has-a-place" {
    metric = "unrouted"
    max    = 0
  }

  expect "tom1-carries-it" {
    metric = "share"
    of     = instance.tom1
    max    = 0.7
    during = "outage"
  }
}
