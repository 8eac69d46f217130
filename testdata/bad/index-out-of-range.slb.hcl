instance "a" {
  count = 2
}
output "x" { value = instance.a[2].address }
