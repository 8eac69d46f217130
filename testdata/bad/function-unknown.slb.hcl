output "x" { value = timestamp() }
