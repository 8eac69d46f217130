variable "key" {
  default   = "hunter2"
  sensitive = true
}
instance "a" {
  page "/" { content = var.key }
}
