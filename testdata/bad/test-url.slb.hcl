test "path" {
  request { url = "/tom" }
  expect { status = 200 }
}

test "port" {
  request { url = "http://www.abc.com:http/" }
  expect { status = 200 }
}

test "no-port" {
  request { url = "tcp://127.10.0.4" }
  expect { status = 0 }
}

test "space" {
  request { url = "http://www.abc.com/a b" }
  expect { status = 200 }
}

test "path-of-tcp" {
  request { url = "tcp://127.10.0.4:80/tom" }
  expect { status = 0 }
}
