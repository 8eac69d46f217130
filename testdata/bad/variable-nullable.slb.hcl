variable "n" {
  nullable = false
  default  = null
}
