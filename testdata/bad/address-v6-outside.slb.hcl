load_balancer "lb" { address = "2001:db8::1" }
