variable "where" { default = "./web" }

module "registry" {
  source = "terraform-alicloud-modules/slb/alicloud"
}

module "git" {
  source = "git::https://example.com/web.git?ref=v1"
}

module "absolute" {
  source = "/etc"
}

module "computed" {
  source = var.where
}

module "none" {}
