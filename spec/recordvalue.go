package spec

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// recordForms shows how to write the value of each type.
var recordForms = map[string]string{
	"MX":    "Write value = \"10 mail.abc.com\": the preference, then the mail server.",
	"SRV":   "Write value = \"10 5 5060 sip.abc.com\": priority, weight, port and server.",
	"CAA":   "Write value = \"0 issue letsencrypt.org\": flags, tag and value.",
	"NS":    "Write the name of a name server: value = \"ns1.abc.net\".",
	"PTR":   "Write a name: value = \"www.abc.com\".",
	"CNAME": "Write a name: value = \"www.abc.com\".",
}

// longestText bounds a TXT record, longestCAA the value of a CAA record, in bytes.
const (
	longestText = 4096
	longestCAA  = 1024
)

// recordValue checks one value of a record and gives its canonical form, which is that
// of zone files but for names, which have no dot at their end.
func recordValue(kind, value string) (string, error) {
	switch kind {
	case "A", "AAAA":
		a, err := netip.ParseAddr(value)
		if err != nil || a.Is4() != (kind == "A") || a.Zone() != "" {
			return value, fmt.Errorf("%s record holds an %s address, not %q", typeArticle(kind), map[string]string{"A": "IPv4", "AAAA": "IPv6"}[kind], value)
		}
		return a.String(), nil
	case "CNAME", "NS", "PTR":
		return targetOf(kind, value)
	case "MX":
		return numbered(kind, value, "preference")
	case "SRV":
		return numbered(kind, value, "priority", "weight", "port")
	case "CAA":
		return caaValue(value)
	case "TXT":
		if len(value) > longestText {
			return value, fmt.Errorf("a TXT record holds at most %d bytes, not %d", longestText, len(value))
		}
	}
	return value, nil
}

// targetOf is a name that a record points to.
func targetOf(kind, value string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(value, "."))
	if _, err := netip.ParseAddr(name); err == nil {
		return value, fmt.Errorf("%s record holds a name, not the address %q", typeArticle(kind), value)
	}
	if err := validDomain(name); err != nil {
		return value, fmt.Errorf("%s record holds a name: %w", typeArticle(kind), err)
	}
	return name, nil
}

// typeArticle writes a type as it is read out: an MX, a PTR.
func typeArticle(kind string) string {
	if strings.ContainsAny(kind[:1], "AMNS") {
		return "an " + kind
	}
	return "a " + kind
}

// numbered is numbers of 16 bits with a name behind them (RFC 1035 section 3.3.9, RFC 2782).
// A dot instead of the name says that there is no such service, where RFC 7505 and
// RFC 2782 allow it.
func numbered(kind, value string, names ...string) (string, error) {
	fields := strings.Fields(value)
	if len(fields) != len(names)+1 {
		return value, fmt.Errorf("%s record holds a %s and a name, not %q", typeArticle(kind), strings.Join(names, ", a "), value)
	}
	for i, name := range names {
		n, err := strconv.ParseUint(fields[i], 10, 16)
		if err != nil {
			return value, fmt.Errorf("the %s of %s record is a whole number from 0 to 65535, not %q", name, typeArticle(kind), fields[i])
		}
		fields[i] = strconv.FormatUint(n, 10)
	}
	last := len(names)
	if fields[last] == "." && (kind == "SRV" || fields[0] == "0") {
		return strings.Join(fields, " "), nil
	}
	target, err := targetOf(kind, fields[last])
	if err != nil {
		return value, err
	}
	fields[last] = target
	return strings.Join(fields, " "), nil
}

// caaValue is flags, a tag and a value (RFC 8659 section 4), with or without quotes around
// the last.
func caaValue(value string) (string, error) {
	fields := strings.SplitN(strings.TrimSpace(value), " ", 3)
	if len(fields) != 3 {
		return value, fmt.Errorf("a CAA record holds flags, a tag and a value, not %q", value)
	}
	flags, err := strconv.ParseUint(fields[0], 10, 8)
	if err != nil {
		return value, fmt.Errorf("the flags of a CAA record are a whole number from 0 to 255, not %q", fields[0])
	}
	tag := strings.ToLower(fields[1])
	if tag == "" || len(tag) > 255 || strings.ContainsFunc(tag, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
		return value, fmt.Errorf("the tag of a CAA record is letters and digits such as issue, issuewild or iodef, not %q", fields[1])
	}
	content := strings.TrimSpace(fields[2])
	if n := len(content); n >= 2 && content[0] == '"' && content[n-1] == '"' {
		content = content[1 : n-1]
	}
	if len(content) > longestCAA || strings.ContainsFunc(content, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return value, fmt.Errorf("the value of a CAA record is at most %d printable characters without quotes and backslashes, not %q", longestCAA, content)
	}
	return fmt.Sprintf("%d %s \"%s\"", flags, tag, content), nil
}
