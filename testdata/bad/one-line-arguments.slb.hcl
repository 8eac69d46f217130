instance "ECS01" {}

load_balancer "SLB1" {
  backend { instance = instance.ECS01, weight = 50 }
}
