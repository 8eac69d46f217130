instance "a" {
  lifecycle {
    ignore_changes = [zone, sone, lifecycle]
  }
}
instance "b" {
  lifecycle {
    ignore_changes = 5
  }
}
instance "c" {
  lifecycle {
    ignore_changes = [zone.x, 1]
  }
}
