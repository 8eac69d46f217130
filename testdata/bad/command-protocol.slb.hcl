instance "a" {
  command  = ["true"]
  protocol = "http"
}
