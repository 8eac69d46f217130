simulation "s" {
  target   = "http://www.abc.com/"
  duration = 60
  traffic "t" { rate = 1 }
}
