load_balancer "lb" { address = "::ffff:127.0.0.1" }
