module "web" {
  count  = 2
  source = "./module-output"
}

output "near" { value = module.web[0].adr }
output "far" { value = module.web[0].certificate }
output "index" { value = module.web.addr }
output "beyond" { value = module.web[2].addr }
output "other" { value = module.wep[0].addr }
output "bare" { value = module }
