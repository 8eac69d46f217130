module "web" {
  source = "./module-root-only"
}
