instance "a" {
  command = ["true"]
  fault {
    hang = true
  }
}
