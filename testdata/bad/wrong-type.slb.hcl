instance "a" {
  ports = "eighty"
}
