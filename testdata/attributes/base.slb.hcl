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
acl "base" {
  entries = ["10.0.0.0/8"] # acl.entries
  # acl
}
server_group "second" {
  backend { instance = instance.other }
}
server_group "pair" {
  type = "active_standby" # server_group.type
  backend {
    instance = instance.behind
    role     = "active" # first
  }
  backend {
    instance = instance.other
    role     = "standby" # second
  }
}
load_balancer "l4" {
  backend { instance = instance.behind }
  listener "tcp" "80" { server_group = server_group.pair }
  listener "udp" "53" {
    scheduler = "qch"
    # udp
    health_check {
      # udp_check
    }
  }
}
load_balancer "l7" {
  backend { instance = instance.behind }
  listener "http" "80" {
    # http
    health_check {
      # http_check
    }
    sticky_session {
      type           = "insert" # sticky_session.type
      cookie_timeout = 60       # sticky_session.cookie_timeout
      # sticky_session
    }
    x_forwarded_for {
      # x_forwarded_for
    }
    retry {
      # retry
    }
    access_log {
      # access_log
    }
    rule "base" {
      url          = "/a"                # rule.url
      server_group = server_group.second # rule.server_group
      # rule
    }
  }
  listener "http" "81" {
    redirect {
      port = 80 # redirect.port
      # redirect
    }
  }
  listener "http" "82" {
    # plain
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
