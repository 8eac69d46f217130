terraform {
  required_providers {}
}
provider "alicloud" {
  region = "cn-hangzhou"
}
resource "alicloud_slb_listener" "tcp" {
  frontend_port = 80
}
resource "alicloud_slb_rule" "tom" {}
resource "alicloud_slb_server_group_server_attachment" "a" {}
resource "alicloud_slb_master_slave_server_group" "pair" {}
resource "alicloud_slb_domain_extension" "www" {}
resource "alicloud_dns_record" "www" {}
resource "aws_lb" "x" {}
data "alicloud_zones" "default" {}
import {
  to = load_balancer.lb
}
