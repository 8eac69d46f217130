output "x" { value = cidrhost("127.10.0.0/16", 70000) }
