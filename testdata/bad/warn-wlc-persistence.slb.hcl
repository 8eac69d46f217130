instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "tcp" "80" {
    scheduler           = "wlc"
    persistence_timeout = 600
  }
}
