tls_cipher_policy "unknown" {
  tls_versions = ["TLSv1.2"]
  ciphers      = ["ECDHE-RSA-AES128-GCM-SHA265"]
}
tls_cipher_policy "absent" {
  tls_versions = ["TLSv1.2"]
  ciphers      = ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-SHA384"]
}
tls_cipher_policy "odd" {
  tls_versions = ["TLSv1.2"]
  ciphers      = ["RC4"]
}
