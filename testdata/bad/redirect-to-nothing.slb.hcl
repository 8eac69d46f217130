instance "a" {}
load_balancer "lb" {
  backend { instance = instance.a }
  listener "http" "80" {
    redirect { port = 443 }
  }
  listener "http" "8080" {
    rule "old" {
      domain = "old.abc.com"
      redirect { port = 81 }
    }
  }
  listener "tcp" "81" {}
}
