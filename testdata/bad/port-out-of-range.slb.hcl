instance "a" {
  ports = [70000]
}
