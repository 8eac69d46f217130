instance "a" {}
load_balancer "lb" {
  load_balancer_spec = "slb.s1.small"
  backend { instance = instance.a }
  listener "http" "80" {
    health_check_http_code = "http_2xx"
    sticky_session_type    = "insert"
    server_group_id        = "rsp-1"
    forward_port           = 443
    sticky_session         = "on"
    x_forwarded_for {
      retrive_slb_ip = true
    }
  }
}
