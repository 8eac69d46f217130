module "web" {
  source = "./module-inside"
  count  = 3
}
