instance "a" { tags = { "acs:x" = "1" } }
instance "b" { tags = { aliyunx = "1" } }
instance "c" { tags = { "" = "1" } }
instance "d" { tags = { x = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" } }
instance "e" { tags = { "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" = "1" } }
instance "f" { tags = { x = "see https://a.test" } }
instance "g" { tags = { "http://" = "1" } }
