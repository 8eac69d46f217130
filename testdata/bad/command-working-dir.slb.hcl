instance "a" {
  command     = ["true"]
  working_dir = "nowhere"
}
