# HTTPS on one machine: a certificate of the local CA, HTTP that leads to HTTPS, and
# the HTTP servers behind that know nothing of it.
#
#   slbctl apply        make it so; the first time also makes the local CA
#   slbctl status       who serves, and how long the certificates hold
#
# Clients trust the certificate when they trust the CA's root:
#
#   curl --cacert .slbctl/ca/root.crt $(slbctl output -raw url)
#   slbctl ca install   for all programs of this machine

instance "web1" {
  zone = "cn-hangzhou-b"
  page "/" { content = "Hello from web1.\n" }
}

instance "web2" {
  zone = "cn-hangzhou-d"
  page "/" { content = "Hello from web2.\n" }
}

# A certificate with domains is issued by the local CA, and renewed in time. One of
# your own is written so:
#
#   certificate "site" {
#     certificate = file("www.example.com.crt")
#     private_key = file("www.example.com.key")
#   }

certificate "site" {
  domains = ["www.abc.com", "localhost", load_balancer.SLB1.address]
}

certificate "shop" {
  domains = ["shop.abc.com", "*.shop.abc.com"]
}

load_balancer "SLB1" {
  primary_zone = "cn-hangzhou-b"
  backup_zone  = "cn-hangzhou-d"

  backend { instance = instance.web1 }
  backend { instance = instance.web2 }

  # Who asks without TLS is sent to the port with it.
  listener "http" "80" {
    redirect { port = 443 }
  }

  listener "https" "443" {
    scheduler   = "rr"
    certificate = certificate.site

    # For clients that ask for another name. Other names get certificate.site.
    additional_certificate "shop.abc.com" { certificate = certificate.shop }
    additional_certificate "*.shop.abc.com" { certificate = certificate.shop }

    # TLS 1.2 and 1.3 with forward secrecy is the default; the product's others and
    # tls_cipher_policy blocks of your own take what old clients need.
    tls_cipher_policy = "tls_cipher_policy_1_2_strict_with_1_3"

    x_forwarded_for { proto = true }
  }
}

dns_zone "abc.com" {
  record "www" "A" { value = load_balancer.SLB1.address }
  record "shop" "A" { value = load_balancer.SLB1.address }
}

output "url" { value = load_balancer.SLB1.listener["https:443"].url }
