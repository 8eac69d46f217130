instance "a" {
  command = ["true"]
  env     = { "a=b" = "80" }
}
