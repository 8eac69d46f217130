instance "a" {
  for_each = toset(["blue", "green"])
}
output "x" { value = instance.a["blu"].address }
