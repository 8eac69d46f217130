certificate "neither" {}
certificate "half" {
  certificate = <<-EOT
    -----BEGIN CERTIFICATE-----
    MIIBeDCCAR6gAwIBAgIPBb3xmplWqCAYGOvlPYCeMAoGCCqGSM49BAMCMBIxEDAO
    BgNVBAMTB1Rlc3QgQ0EwHhcNMjAwMTAxMDAwMDAwWhcNNDkxMjMxMDAwMDAwWjAV
    MRMwEQYDVQQDEwp3d3cuYS50ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
    JkakKYadroAUArKxoZvY0lbLZzGMk3qXXWschOhGTxNf8YGxRMV8TU6df9Ggqdl2
    QCb+vhRz3SBigUVEcUUQkaNUMFIwDgYDVR0PAQH/BAQDAgWgMB8GA1UdIwQYMBaA
    FC6SyRPZplJeinCNvMFe/Gu2aSJGMB8GA1UdEQQYMBaCCnd3dy5hLnRlc3SCCCou
    YS50ZXN0MAoGCCqGSM49BAMCA0gAMEUCIGxc6Auqq7ddGbrQ4H+baXvJ6+OtnOGx
    2P7SBFf/vTpjAiEAkAHP0Kdl4CmPJFYF4g203o2Xz6tG74pVaZdEY8PCWTg=
    -----END CERTIFICATE-----
  EOT
}
certificate "other" {
  private_key = <<-EOT
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgEAZKaUCa0H0uwBEL
    +pvVUrAmcLcpwnpf/MlvK0ZJkq2hRANCAAQmRqQphp2ugBQCsrGhm9jSVstnMYyT
    epddaxyE6EZPE1/xgbFExXxNTp1/0aCp2XZAJv6+FHPdIGKBRURxRRCR
    -----END PRIVATE KEY-----
  EOT
}
certificate "none" {
  domains = []
}
certificate "name" {
  domains = ["www.*.test"]
}
