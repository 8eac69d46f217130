test "site" {
  request { url = "http://www.abc.com/" }
  expect { status = 200 }
}

test "site" {
  request { url = "http://www.abc.com/tom" }
  expect { status = 200 }
}
