simulation "s" {
  traffic "t" { rate = 1 }
}
