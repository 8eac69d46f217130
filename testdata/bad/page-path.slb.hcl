instance "a" {
  page "index.html" { content = "x" }
}
