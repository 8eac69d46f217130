runtime {
  port_offset = 8000
}
instance "a" {
  ports = [80, 8080]
}
