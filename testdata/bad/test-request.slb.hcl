test "site" {
  request {
    url     = "http://www.abc.com/"
    method  = "GET /"
    headers = { "X Y" = "1" }
    from    = "office"
  }
  expect {
    status = 42
    header = { "X" = "two\nlines" }
  }
}
