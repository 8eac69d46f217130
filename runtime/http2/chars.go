package http2

// charset is a set of bytes, indexed by them.
type charset [256]bool

// What may be in names (RFC 9113 section 8.2.1, RFC 9110 section 5.6.2) and values (RFC 9110
// section 5.5).
var nameChars, tokenChars, valueChars, pathChars, authorityChars = func() (name, token, value, path, authority charset) {
	for i := range 256 {
		c := byte(i)
		upper := c >= 'A' && c <= 'Z'
		token[c] = upper || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		for _, mark := range []byte("!#$%&'*+-.^_`|~") {
			token[c] = token[c] || c == mark
		}
		name[c] = token[c] && !upper
		value[c] = c == '\t' || c >= ' ' && c != 0x7f
		path[c] = c > ' ' && c != 0x7f
		authority[c] = path[c] && c != '@' && c != '/' && c != '?' && c != '#'
	}
	return name, token, value, path, authority
}()

func (set *charset) all(s string) bool {
	for i := range len(s) {
		if !set[s[i]] {
			return false
		}
	}
	return true
}

func validName(s string) bool      { return s != "" && nameChars.all(s) }
func validToken(s string) bool     { return s != "" && tokenChars.all(s) }
func validPath(s string) bool      { return pathChars.all(s) }
func validAuthority(s string) bool { return authorityChars.all(s) }

func validValue(s string) bool {
	if s == "" {
		return true
	}
	return valueChars.all(s) && !isBlank(s[0]) && !isBlank(s[len(s)-1])
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
