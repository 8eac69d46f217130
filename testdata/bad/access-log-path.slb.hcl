instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    access_log { path = ".slbctl/runtime.log" }
  }
  listener "http" "81" {
    access_log {
      format = "common"
      path   = "logs/"
    }
  }
  listener "http" "82" {
    access_log { path = "./slbctl.state.json" }
  }
}
