instance "a" {
  protocol = "tcp_echo"
  page "/" { content = "x" }
}
