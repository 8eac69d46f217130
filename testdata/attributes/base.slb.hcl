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
  fault {
    # instance_fault
  }
}
instance "program" {
  command = ["sleep", "60"] # instance.command
  # program
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
certificate "base" {
  certificate = file("www.crt") # certificate.certificate
  private_key = file("www.key") # certificate.private_key
  # certificate
}
certificate "local" {
  domains = ["c.test"] # certificate.domains
}
certificate "rsa" {
  certificate = file("rsa.crt")
  private_key = file("rsa.key")
}
ca_certificate "base" {
  certificate = file("ca.crt") # ca_certificate.certificate
  # ca_certificate
}
tls_cipher_policy "base" {
  tls_versions = ["TLSv1.2"]                                                      # tls_cipher_policy.tls_versions
  ciphers      = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"] # tls_cipher_policy.ciphers
  # tls_cipher_policy
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
  listener "https" "443" {
    certificate       = certificate.base       # listener.certificate
    ca_certificate    = ca_certificate.base    # listener.ca_certificate
    tls_cipher_policy = tls_cipher_policy.base # listener.tls_cipher_policy
    # https
    additional_certificate "c.test" { # additional_certificate.domain
      certificate = certificate.local # additional_certificate.certificate
    }
  }
}
load_balancer "many" {
  backend { instance = instance.behind }
  backend { instance = instance.base }
  listener "tcp" "80" { scheduler = "sch" }
  listener "tcp" "82" { server_group = server_group.base }
  expect "kept" {
    metric = "error_rate"
    max    = 0.1
    live   = true # expect.live
    # live_expect
  }
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
  service {
    time = "8ms" # service.time
    # service
  }
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
simulation "ops" {
  target   = load_balancer.many
  listener = "tcp:80"
  duration = "2m"
  traffic "t" { rate = 10 }
  change "c" { # change.name
    at = "5s"  # change.at
  }
  drain "d" {                # drain.name
    at     = "10s"           # drain.at
    for    = "20s"           # drain.for
    target = instance.behind # drain.target
    # drain
  }
  deploy "v" {               # deploy.name
    at     = "50s"           # deploy.at
    target = instance.behind # deploy.target
    # deploy
  }
}
simulation "web" {
  target   = load_balancer.l7
  listener = "http:80"
  duration = "1m"
  traffic "t" {
    rate    = 10
    session = { requests = 4, cookies = true, connections = 1 }                   # traffic.session
    request = [{ weight = 3, host = "www.a.test", path = "/a" }, { path = "/b" }] # traffic.request
  }
}
test "t" {
  request { # test.request
    url = "http://${load_balancer.l7.address}/a" # request.url
    # request
  }
  expect { # test.expect
    status = 404 # test_expect.status
    # test_expect
  }
}
