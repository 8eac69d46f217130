instance "a" {
  count = 2
}
output "x" { value = instance.a.address }
