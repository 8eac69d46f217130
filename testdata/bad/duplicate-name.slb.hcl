instance "a" {}
instance "a" {}
