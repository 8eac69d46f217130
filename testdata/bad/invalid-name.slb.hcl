instance "my web" {}
