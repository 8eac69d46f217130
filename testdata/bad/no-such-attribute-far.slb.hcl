instance "a" {}
output "x" { value = instance.a.colour }
