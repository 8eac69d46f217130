load_balancer "lb" {
  primary_zone = "z"
  backup_zone  = "z"
}
