variable "a b" {}
