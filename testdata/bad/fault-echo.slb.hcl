instance "a" {
  protocol = "udp_echo"
  fault {
    delay = 1
  }
}
