variable "size" { type = number }

variable "words" {
  type     = list(string)
  nullable = false
}

variable "zone" {
  validation {
    condition     = contains(["a", "b"], var.zone)
    error_message = "There is no zone ${var.zone}."
  }
}
