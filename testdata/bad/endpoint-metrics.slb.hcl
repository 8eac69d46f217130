runtime {
  metrics_address = "127.0.0.9:80"
  port_offset     = 8000
}
instance "a" {
  address = "127.0.0.9"
  ports   = [8080]
}
