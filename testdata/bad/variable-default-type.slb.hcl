variable "x" {
  type    = number
  default = "many"
}
