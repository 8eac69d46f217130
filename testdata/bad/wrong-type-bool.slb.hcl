instance "a" {
  deletion_protection = [true]
}
