instance "a" {}
output "x" { value = instance.a.adress }
