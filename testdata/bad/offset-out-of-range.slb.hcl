runtime {
  port_offset = 64512
}
