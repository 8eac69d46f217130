server_group "g" {}
