variable "n" { default = "x" }
output "x" { value = var.n + 1 }
