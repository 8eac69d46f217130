instance "a" {
