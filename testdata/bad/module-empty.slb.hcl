module "empty" {
  source = "./module-empty"
}

module "gone" {
  source = "./module-emty"
}
