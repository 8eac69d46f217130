instance "a" {}

server_group "tom" {
  backend { instance = instance.a }
}

test "site" {
  request { url = "http://www.abc.com/" }
  expect { server = server_group.tom }
}
