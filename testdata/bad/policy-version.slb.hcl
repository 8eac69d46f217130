tls_cipher_policy "unknown" {
  tls_versions = ["TLSv1.4"]
  ciphers      = ["AES128-SHA"]
}
tls_cipher_policy "gap" {
  tls_versions = ["TLSv1.0", "TLSv1.2"]
  ciphers      = ["AES128-SHA"]
}
tls_cipher_policy "none" {
  tls_versions = ["TLSv1.1", "TLSv1.2"]
  ciphers      = ["AES128-GCM-SHA256"]
}
tls_cipher_policy "other" {
  tls_versions = ["TLSv1.0"]
  ciphers      = ["AES128-SHA", "AES128-GCM-SHA256"]
}
tls_cipher_policy "part" {
  tls_versions = ["TLSv1.2", "TLSv1.3"]
  ciphers      = ["AES128-SHA", "TLS_AES_128_GCM_SHA256"]
}
