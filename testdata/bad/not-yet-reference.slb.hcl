output "x" { value = test.site }
