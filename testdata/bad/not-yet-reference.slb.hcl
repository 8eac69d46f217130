output "x" { value = certificate.site }
