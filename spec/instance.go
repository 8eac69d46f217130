package spec

import (
	"net/netip"
	"slices"
	"strings"
)

var instanceKind = func() *kind {
	meta := func(i *Instance) *Meta { return &i.Meta }
	k := kindOf(&block{
		name: "instance",
		attributes: resourceAttributes(meta,
			bind("zone", bounded(64), func(i *Instance) *string { return &i.Zone }, replaces, fallback("")),
			bind("address", ipv4, func(i *Instance) *netip.Addr { return &i.IP }, replaces),
			bind("address_pinned", boolean, func(i *Instance) *bool { return &i.PinnedIP }, computed, fallback(false)),
			bind("ports", list(port, 1), func(i *Instance) *[]uint16 { return &i.Ports }, fallback([]any{80.0})),
			bind("protocol", word([]string{ProtocolHTTP, ProtocolTCPEcho, ProtocolUDPEcho}),
				func(i *Instance) *string { return &i.Protocol }, fallback(ProtocolHTTP)),
			bind("status", word([]string{StatusRunning, StatusStopped}),
				func(i *Instance) *string { return &i.Status }, fallback(StatusRunning)),
			bind("site", bounded(4096), func(i *Instance) *string { return &i.Site }, fallback("")),
			bind("command", list(commandArgument, 1), func(i *Instance) *[]string { return &i.Command }),
			bind("env", programEnv, func(i *Instance) *map[string]string { return &i.Env }, sealable),
			bind("working_dir", bounded(4096), func(i *Instance) *string { return &i.WorkingDir }, fallback("")),
			bind("deletion_protection", boolean, func(i *Instance) *bool { return &i.DeletionProtection }, fallback(false)),
		),
		blocks: resourceBlocks(meta, many(pageBlock, func(i *Instance) *[]Page { return &i.Pages }),
			perhaps(instanceFaultBlock, func(i *Instance) **InstanceFault { return &i.Fault })),
		hints: map[string]string{
			"port":      "An instance may listen on several ports: ports = [80].",
			"zone_id":   "Write zone.",
			"content":   "Content belongs to a page: page \"/\" { content = \"...\" }.",
			"pages":     "Each page is a block: page \"/\" { content = \"...\" }.",
			"addresses": "An instance has one address.",

			"root":        "Write site = \"FOLDER\".",
			"args":        "Write the program and its arguments as one list: command = [\"PROGRAM\", \"ARGUMENT\"].",
			"entrypoint":  "Write command = [\"PROGRAM\", \"ARGUMENT\"].",
			"environment": "Write env.",
			"cwd":         "Write working_dir.",

			"private_ip":    "Write address, or leave it out: one is allocated.",
			"instance_name": "The name is the block's label: instance \"NAME\".",
			"image_id":      "An instance here is a web server on this machine: it needs no image.",
			"instance_type": "An instance here is a web server on this machine: it needs no type.",
			"user_data":     "Write page blocks, site or command.",
		},
		finish: finishInstance,
	}, func(c *Config) *[]*Instance { return &c.Instances }, meta)
	k.early = []string{"address"}
	k.ip = func(target any) (*netip.Addr, *bool) {
		i := target.(*Instance)
		return &i.IP, &i.PinnedIP
	}
	return k
}()

var pageBlock = &block{
	name:   "page",
	labels: []attribute{bind("path", text, func(p *Page) *string { return &p.Path })},
	attributes: []attribute{
		bind("content", text, func(p *Page) *string { return &p.Content }, fallback(""), sealable),
		bind("file", text, func(p *Page) *string { return &p.Content }, alias),
		bind("status", integer[int](200, 599), func(p *Page) *int { return &p.Status }, fallback(200.0)),
		bind("content_type", bounded(256), func(p *Page) *string { return &p.ContentType }),
		bind("headers", texts, func(p *Page) *map[string]string { return &p.Headers }, sealable),
	},
	hints:  map[string]string{"body": "Write content.", "code": "Write status."},
	finish: finishPage,
}

func finishInstance(d *decoder, s *site, target any) {
	i := target.(*Instance)
	for n, p := range i.Ports {
		if slices.Contains(i.Ports[:n], p) {
			d.errorf(s.at("ports"), "Duplicate port", "", "Port %d is listed twice.", p)
		}
	}
	if i.Protocol != ProtocolHTTP && len(i.Pages) > 0 {
		d.errorf(s.at("protocol"), "Pages without http", "Remove the page blocks, or protocol.",
			"An instance that speaks %s serves no pages.", i.Protocol)
	}
	checkProgram(d, s, i)
	if i.Site != "" {
		if err := d.l.files.directory(i.Site); err != nil {
			d.errorf(s.at("site"), "Unusable folder", "Write a folder beside the configuration: site = \"www\".", "%v.", err)
		}
		if i.Protocol != ProtocolHTTP {
			d.errorf(s.at("protocol"), "Files without http", "Remove site, or protocol.", "An instance that speaks %s serves no files.", i.Protocol)
		}
	}
	if i.Fault != nil {
		if err := i.CheckFault(i.Fault); err != nil {
			d.errorf(s.child("fault", 0).rng, "Fault that does not fit", "", "%v.", err)
		}
	}
	seen := make(map[string]bool, len(i.Pages))
	for n, p := range i.Pages {
		if seen[p.Path] {
			d.errorf(s.child("page", n).rng, "Duplicate page", "", "The page %q is there already.", p.Path)
		}
		seen[p.Path] = true
	}
}

func finishPage(d *decoder, s *site, target any) {
	p := target.(*Page)
	if !validPath(p.Path) {
		d.errorf(s.label(0), "Invalid path", "", "The path of a page begins with / and has no ?, # or space: %q.", p.Path)
	}
	switch {
	case s.has("content") && s.has("file"):
		d.errorf(s.at("file"), "Content twice", "Keep one of them.", "A page has either content or file.")
	case s.has("file"):
		content, err := d.l.files.read(p.Content)
		if err != nil {
			d.errorf(s.at("file"), "Unreadable file", "", "%v.", err)
		}
		p.Content = content
		if IsSecret(content) {
			s.sealed = append(s.sealed, &sealing{attribute: s.table.attribute("content")})
		}
	}
	for name, value := range p.Headers {
		switch {
		case validHeader(name, value):
		case s.seals("headers", name):
			d.errorf(s.at("headers"), "Invalid header", "", "%q, which is sensitive, cannot be a header of an HTTP response.", name)
		default:
			d.errorf(s.at("headers"), "Invalid header", "", "%q: %q cannot be a header of an HTTP response.", name, value)
		}
	}
	if p.ContentType == "" {
		p.ContentType = guessType(p.Content)
	} else if !validHeader("Content-Type", p.ContentType) {
		d.errorf(s.at("content_type"), "Invalid content type", "", "%q cannot be a header of an HTTP response.", p.ContentType)
	}
}

func guessType(content string) string {
	if strings.HasPrefix(content, "<") {
		return "text/html; charset=utf-8"
	}
	return "text/plain; charset=utf-8"
}

func validPath(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.ContainsFunc(path, func(r rune) bool {
		return r <= ' ' || r == 0x7f || r == '?' || r == '#'
	})
}

// validHeader accepts tokens as names and printable values, and leaves framing
// to the server.
func validHeader(name, value string) bool {
	token := name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
	})
	framing := slices.ContainsFunc([]string{"Content-Length", "Transfer-Encoding", "Connection"},
		func(reserved string) bool { return strings.EqualFold(reserved, name) })
	return token && !framing && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
