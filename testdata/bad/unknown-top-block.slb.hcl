loadbalancer "SLB1" {}
