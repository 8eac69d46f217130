simulation "s" {
  target   = null
  duration = null
  traffic "t" { rate = 1 }
}
