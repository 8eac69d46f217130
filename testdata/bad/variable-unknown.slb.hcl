variable "zone" { default = "z" }
instance "a" {
  zone = var.zones
}
