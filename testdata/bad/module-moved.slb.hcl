module "web" {
  source = "./module-moved"
}

module "more" {
  count  = 2
  source = "./module-moved"
}

moved {
  from = module.web.instance.a
  to   = instance.a
}

moved {
  from = module.more
  to   = module.most
}

removed {
  from = module.web
}

removed {
  from = module.more[1].instance.a
}
