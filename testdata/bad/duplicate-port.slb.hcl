instance "a" {
  ports = [80, 80]
}
