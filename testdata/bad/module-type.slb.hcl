module "web" {
  source = "./module-type"
  size   = "many"
  words  = null
  zone   = "c"
}
