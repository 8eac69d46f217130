instance "a" {
  for_each = ["x"]
}
