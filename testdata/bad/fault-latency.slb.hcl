instance "a" {
  fault {
    latency = "1s"
  }
}
