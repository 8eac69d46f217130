runtime {
  metrics_address = "10.0.0.1:9100"
}
