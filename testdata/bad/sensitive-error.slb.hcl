variable "n" {
  type      = number
  default   = "hunter2"
  sensitive = true
}
