// Package spec turns a folder of configuration into plain data:
//
//	config, diags := spec.Load("testdata/quickstart", spec.Options{})
//	diags.WriteText(os.Stderr, false, 78)
//	if diags.HasErrors() {
//		return
//	}
//	for _, r := range config.Resources() {
//		fmt.Println(r.Address)
//	}
//
// Load works in strata, so that nothing is unknown at the end: variables and
// runtime first, then count and for_each, then the allocation of addresses, then
// everything else. It reads files and nothing more: no state, no socket, no clock.
//
// A module is a scope of names (type module): the configuration's own, and one for each of
// what module blocks stand for. Their folders are read and declared once, before anything
// is evaluated; the addresses of resources begin with the module that they are in, and
// nothing outside of this package takes addresses apart.
//
// Each kind of resource is one table of attributes (type block). Decoding, range
// checks, defaults, the recorded form, the JSON Schema, "not supported yet" and
// "did you mean" all come out of that table. The types of hcl and cty do not leave
// this package.
package spec
