instance "b" {}

runtime { network = "127.1.0.0/16" }

moved {
  from = instance.a
  to   = instance.b
}

provider "alicloud" {}

test "t" {}
