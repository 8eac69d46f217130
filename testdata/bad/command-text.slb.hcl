instance "a" {
  command = "python3 -m http.server"
}
