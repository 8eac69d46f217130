module "web" {
  source = "./module-cycle"
}
