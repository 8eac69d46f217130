load_balancer "lb" { spec = "slb.s1.smal" }
