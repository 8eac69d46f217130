runtime {
  network = "127.10.0.0/31"
}
