instance "a" {
  zone = 
}
