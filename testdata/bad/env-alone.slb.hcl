instance "a" {
  env = { A = "b" }
}
