variable "n" {
  sensitive = "perhaps"
}
