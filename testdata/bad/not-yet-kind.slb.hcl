state {
  backend "etcd" {}
}
