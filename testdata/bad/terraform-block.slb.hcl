resource "alicloud_slb" "x" {}
