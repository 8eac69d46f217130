instance "a" {
  command = [""]
}
