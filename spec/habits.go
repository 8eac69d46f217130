package spec

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// terraformBlocks says what becomes of a resource of Terraform's provider for the product.
// A name that ends in "*" stands for all that begin so.
var terraformBlocks = []struct{ resource, advice string }{
	{"alicloud_slb_listener", "Write a block inside the load_balancer: listener \"tcp\" \"80\" { ... }; the labels are protocol and frontend_port."},
	{"alicloud_slb_rule", "Write a block inside the listener: rule \"NAME\" { domain = ..., url = ..., server_group = server_group.NAME }."},
	{"alicloud_slb_server_group_server_attachment", "Write a block inside the server_group: backend { instance = instance.NAME }."},
	{"alicloud_slb_master_slave_server_group", "Write server_group \"NAME\" { type = \"active_standby\" }, with a role in each of its two backend blocks."},
	{"alicloud_slb_server_group", "Write server_group \"NAME\" { backend { instance = instance.NAME } }."},
	{"alicloud_slb_attachment", "Write a block inside the load_balancer: backend { instance = instance.NAME }."},
	{"alicloud_slb_backend_server", "Write a block inside the load_balancer: backend { instance = instance.NAME }."},
	{"alicloud_slb_acl_entry_attachment", "Write its entry into acl \"NAME\" { entries = [...] }."},
	{"alicloud_slb_acl", "Write acl \"NAME\" { entries = [...] }; a listener names it by acl = acl.NAME."},
	{"alicloud_slb_ca_certificate", "Write ca_certificate \"NAME\" { ... }; a listener names it by ca_certificate = ca_certificate.NAME."},
	{"alicloud_slb_server_certificate", "Write certificate \"NAME\" { ... }; a listener names it by certificate = certificate.NAME."},
	{"alicloud_slb_domain_extension", "Write a block inside the listener: additional_certificate \"www.example.com\" { certificate = certificate.NAME }."},
	{"alicloud_slb_tls_cipher_policy", "Write tls_cipher_policy \"NAME\" { ... }; a listener names it by tls_cipher_policy = tls_cipher_policy.NAME."},
	{"alicloud_slb_load_balancer", "Write load_balancer \"NAME\" { ... }, with its listeners as blocks inside."},
	{"alicloud_slb", "Write load_balancer \"NAME\" { ... }, with its listeners as blocks inside."},
	{"alicloud_instance", "Write instance \"NAME\" { ... }."},
	{"alicloud_alidns_domain", "Write dns_zone \"example.com\" { ... }, with its records as blocks inside."},
	{"alicloud_pvtz_zone_record", "Write a block inside the dns_zone: record \"www\" \"A\" { value = \"...\" }."},
	{"alicloud_pvtz_zone*", "Write dns_zone \"example.com\" { ... }, with its records as blocks inside."},
	{"alicloud_alidns_record", "Write a block inside the dns_zone: record \"www\" \"A\" { value = \"...\" }."},
	{"alicloud_dns*", "Write dns_zone \"example.com\" { ... }, with its records as blocks inside."},
}

// terraformSchema are Terraform's blocks as the JSON syntax has to be asked for them.
var terraformSchema = []hcl.BlockHeaderSchema{
	{Type: "resource", LabelNames: []string{"type", "name"}}, {Type: "data", LabelNames: []string{"type", "name"}},
	{Type: "provider", LabelNames: []string{"name"}}, {Type: "terraform"}, {Type: "import"},
}

// fromTerraform is the advice for a top-level block that only Terraform has; labels are
// its own, as far as they are known. It is empty for any other block.
func fromTerraform(block string, labels []string) string {
	switch block {
	case "provider", "terraform":
		return "There is no provider here, and nothing to configure: leave it out. What the runtime needs stands in a runtime block."
	case "import":
		return "Nothing exists before apply has made it. A runtime that has lost its record is taken up again by slbctl state recover."
	case "data":
		return "All that there is stands in the configuration: write instance.NAME.address, load_balancer.NAME.address and the like."
	case "resource":
		for _, b := range terraformBlocks {
			prefix, family := strings.CutSuffix(b.resource, "*")
			if len(labels) > 0 && (labels[0] == b.resource || family && strings.HasPrefix(labels[0], prefix)) {
				return b.advice
			}
		}
		return "Blocks have one label here: load_balancer \"NAME\" { ... }, instance \"NAME\" { ... }."
	}
	return ""
}

// anywhereHints are names that Terraform allows in every block.
var anywhereHints = map[string]string{
	"depends_on":  "Leave it out: what a block refers to is made before it.",
	"provider":    "Leave it out: there are no providers here.",
	"provisioner": "Leave it out: an instance runs what its command says.",
	"connection":  "Leave it out: an instance runs what its command says.",
	"timeouts":    "Leave it out: slbctl apply -timeout=2m says how long an apply may take.",
	"id":          "Leave it out: an id is given at the first apply, and can be referred to.",
}
