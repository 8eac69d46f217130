instance "a" "b" {}
