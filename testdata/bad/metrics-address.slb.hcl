runtime {
  metrics_address = "9100"
}
