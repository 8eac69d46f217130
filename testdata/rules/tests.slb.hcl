# What must become of a request: which rule takes it, who may serve it, what comes back.
#
#   slbctl test          on the configuration, without starting anything
#   slbctl test -cover   and which rules no test has reached
#   slbctl test -live    on what runs

test "tom" {
  request { url = "http://www.aaa.com/tom" }
  expect {
    rule         = "tom"
    server_group = server_group.TOM
    status       = 200
  }
}

test "jerry" {
  request { url = "http://www.aaa.com/jerry" }
  expect {
    rule         = "jerry"
    server_group = server_group.JERRY
    status       = 200
  }
}

test "the rest of the domain" {
  request { url = "http://www.aaa.com/" }
  expect {
    rule   = "home"
    status = 200
  }
}

# A spelling must not get round a rule.
test "tom in disguise" {
  request { url = "http://www.aaa.com/%74om" }
  expect { rule = "tom" }
}
