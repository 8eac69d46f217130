instance "a" {}

load_balancer "lb" {
  backend { instance = instance.a }
  expect {
    metric = "share"
  }
}
