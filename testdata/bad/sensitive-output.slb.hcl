variable "key" {
  default   = "hunter2"
  sensitive = true
}
output "x" { value = "k=${var.key}" }
