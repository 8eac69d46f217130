variable "n" {
  default = 3
  validation {
    condition     = "maybe"
    error_message = "At most two."
  }
}
