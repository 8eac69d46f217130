variable "n" {
  default = 3
  validation {
    condition     = var.n < 3
    error_message = "At most two."
  }
}
