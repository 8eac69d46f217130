runtime {
  network = "10.0.0.0/16"
}
