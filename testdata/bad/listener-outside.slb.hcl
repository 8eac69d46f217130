listener "tcp" "80" {}
