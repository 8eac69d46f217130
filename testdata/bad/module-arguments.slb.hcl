module "web" {
  source   = "./module-arguments"
  greting  = "Hello"
  version  = "~> 1.0"
  entirely = true
  zone {}
}
