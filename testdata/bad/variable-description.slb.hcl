variable "n" {
  default     = 1
  description = ["x"]
}
