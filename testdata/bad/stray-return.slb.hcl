instance "a" {
  zone = <<A
xy
A
}
