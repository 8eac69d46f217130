# Every block of the language, with marks where examples.json puts in something else.
instance "base" {
  zone = "z" # instance.zone
  # instance
  page "/" {
    # page
  }
}
instance "behind" {
  zone  = "z"
  ports = [80, 82]
}
instance "other" {
  ports = [80, 82]
}
server_group "base" {
  # server_group
  backend {
    instance = instance.behind # backend.instance
    # backend
  }
}
load_balancer "base" {
  # load_balancer
  backend { instance = instance.behind }
  listener "tcp" "80" {
    # listener
    health_check {
      # health_check
    }
  }
}
load_balancer "many" {
  backend { instance = instance.behind }
  backend { instance = instance.base }
  listener "tcp" "80" { scheduler = "sch" }
  listener "tcp" "82" { server_group = server_group.base }
}
dns_zone "a.test" {
  # dns_zone
  record "a" "A" {
    value = "127.0.0.1" # record.value
    # record
  }
}
runtime {
  # runtime
}
simulation "s" {
  target   = load_balancer.many # simulation.target
  listener = "tcp:80"           # simulation.listener
  duration = "1m"               # simulation.duration
  # simulation
  traffic "t" {
    rate    = 10 # traffic.rate
    clients = { count = 10 } # traffic.clients
    # traffic
  }
  fault "f" {
    at     = 1               # fault.at
    for    = 20              # fault.for
    target = instance.behind # fault.target
    # fault
  }
  expect "e" {
    metric = "share"         # expect.metric
    of     = instance.behind # expect.of
    max    = 0.5             # expect.max
    # expect
  }
}
