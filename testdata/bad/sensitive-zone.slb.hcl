variable "key" {
  default   = "hunter2"
  sensitive = true
}
instance "a" {
  zone    = var.key
  command = ["./serve", "--password", var.key]
}
instance "b" {
  page "/" { file = "${var.key}.html" }
}
instance "c" {
  zone = sensitive("hunter2")
  page "/" { headers = { "X-Key" = sensitive("hunter2\n") } }
}
