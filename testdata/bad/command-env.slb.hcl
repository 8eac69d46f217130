instance "a" {
  command = ["true"]
  env     = { PORT = "80" }
}
