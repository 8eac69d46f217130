instance "a" {
  site = "../www"
}
