module "web" {
  source = "../module-cycle"
}

module "root" {
  source = "./.."
}
