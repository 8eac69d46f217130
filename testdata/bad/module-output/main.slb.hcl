instance "a" {}
output "addr" { value = instance.a.address }
