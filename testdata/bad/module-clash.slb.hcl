module "web" {
  for_each = toset(["a", "b"])
  source   = "./module-clash"
}
