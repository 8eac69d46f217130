test "site" {
  request { url = "http://www.abc.com/" }
}
