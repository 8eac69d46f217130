test "site" {
  request {
    url     = "tcp://127.10.0.4:80"
    method  = "GET"
    headers = { Host = "www.abc.com" }
  }
  expect {
    status   = 200
    rule     = ""
    location = "/"
  }
}
