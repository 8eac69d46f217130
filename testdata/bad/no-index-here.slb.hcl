instance "a" {}
output "x" { value = instance.a[0].address }
