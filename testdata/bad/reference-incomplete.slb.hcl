output "x" { value = var }
