instance "a" {
  site     = "www"
  protocol = "tcp_echo"
}
