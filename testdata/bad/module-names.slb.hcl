module "web" {
  source = "./module-names"
}

module "web" {
  source = "./module-names"
}

module "a.b" {
  source = "./module-names"
}
