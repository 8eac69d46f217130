variable "port" {
  type    = number
  default = null
}
load_balancer "lb" {
  listener "http" "80" {
    redirect { port = var.port }
  }
}
