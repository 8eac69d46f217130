runtime {
  network = "127.10.0.0/30"
}
instance "a" {
  count = 2
}
