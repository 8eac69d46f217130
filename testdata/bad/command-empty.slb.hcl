instance "a" {
  command = []
}
