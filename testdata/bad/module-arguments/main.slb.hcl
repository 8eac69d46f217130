variable "greeting" { type = string }
variable "zone" { default = "a" }
