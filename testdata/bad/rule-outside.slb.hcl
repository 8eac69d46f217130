rule "tom" {
  url = "/tom"
}
