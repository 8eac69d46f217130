package spec

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Format writes a configuration in canonical style. Comments stay. What does not
// parse is not formatted.
func Format(filename string, src []byte) ([]byte, Diagnostics) {
	l := newLoader("", Options{})
	l.reports.source(filename, src)
	if len(src) > maxFileSize {
		l.reports.general("File too large", filename+": "+errTooLarge.Error()+".", "")
		return nil, l.reports.sorted()
	}
	if !l.guard(filename, src) {
		return nil, l.reports.sorted()
	}
	_, diags := hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
	l.reports.hcl(diags)
	if diags.HasErrors() {
		return nil, l.reports.sorted()
	}
	return hclwrite.Format(src), l.reports.sorted()
}
