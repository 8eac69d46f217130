instance "a" {
  site = "www"
}
