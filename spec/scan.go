package spec

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Limits that hold before anything is parsed. The parser recurses once per
// bracket and the evaluator once per operator, so both are bounded; a for inside
// a for inside a for multiplies its ranges.
const (
	maxFileSize  = 4 << 20 // bytes
	maxDepth     = 100     // brackets, templates and template directives inside each other
	maxForDepth  = 2
	maxOperators = 1000 // in one expression at one bracket level
	chunkSize    = 512  // bytes; the parser's token lists stay small
)

// chunk is a run of whole top-level blocks.
type chunk struct {
	src   []byte
	start hcl.Pos
}

// limitError says which limit a file exceeds, and where.
type limitError struct {
	pos     hcl.Pos
	summary string
	detail  string
}

// scanner walks the bytes of a file as the HCL lexer would, but only as far as
// it takes to know what is inside what. It never recurses and allocates nothing
// per token. FuzzScan holds it to the real lexer.
type scanner struct {
	src   []byte
	pos   int
	nest  []nesting
	modes []mode

	braces int // the lexer's own count, which decides what a } closes

	line, lineStart int
	chunkSize       int // of a chunk at least, but for the last one
	chunks          []chunk
	begin           hcl.Pos // of the chunk under way
	file            nesting
	odd             bool // brackets do not match: the rest stays one chunk
	fors            int
}

// nesting is one open bracket, template directive or template sequence.
type nesting struct {
	open      byte // ( [ { or t for a template, d for an if or for directive
	isFor     bool
	operators int
}

// mode is one level of template. A sequence ${ } returns to the template below.
type mode struct {
	kind   byte   // q quoted, h heredoc, s sequence
	marker []byte // h: the word that ends it
	fresh  bool   // h: nothing but literal text on this line yet
	braces int    // s: the brace count that closes it
	nest   int    // s: length of nest when it was opened
	first  bool   // s: a directive whose keyword is still to come
}

// scan checks the limits and cuts the file into chunks that parse on their own.
func scan(src []byte) ([]chunk, *limitError) { return scanInto(src, chunkSize) }

func scanInto(src []byte, chunkSize int) ([]chunk, *limitError) {
	if limit := validText(src); limit != nil {
		return nil, limit
	}
	s := &scanner{src: src, line: 1, begin: hcl.InitialPos, chunkSize: chunkSize}
	if bytes.HasPrefix(src, []byte("\xef\xbb\xbf")) {
		s.pos, s.lineStart = 3, 3
	}
	for s.pos < len(src) {
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	s.cut(len(src))
	return s.chunks, nil
}

// validText refuses what is not UTF-8: the lexer loses its way there.
func validText(src []byte) *limitError {
	if utf8.Valid(src) {
		return nil
	}
	pos := hcl.InitialPos
	for pos.Byte < len(src) {
		r, size := utf8.DecodeRune(src[pos.Byte:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		pos.Byte += size
		pos.Column++
		if r == '\n' {
			pos.Line, pos.Column = pos.Line+1, 1
		}
	}
	return &limitError{pos, "Not UTF-8", "A configuration is UTF-8 text."}
}

func (s *scanner) step() *limitError {
	if len(s.modes) > 0 {
		switch s.modes[len(s.modes)-1].kind {
		case 'q':
			return s.quoted()
		case 'h':
			return s.heredoc()
		}
	}
	return s.normal()
}

func (s *scanner) at(offset int) byte {
	if s.pos+offset < len(s.src) {
		return s.src[s.pos+offset]
	}
	return 0
}

func (s *scanner) position() hcl.Pos {
	return hcl.Pos{Line: s.line, Column: utf8.RuneCount(s.src[s.lineStart:s.pos]) + 1, Byte: s.pos}
}

func (s *scanner) newline() {
	s.line++
	s.lineStart = s.pos + 1
}

// cut ends the chunk under way at offset end, the beginning of a line.
func (s *scanner) cut(end int) {
	if end > s.begin.Byte {
		s.chunks = append(s.chunks, chunk{s.src[s.begin.Byte:end], s.begin})
		s.begin = hcl.Pos{Line: s.line, Column: 1, Byte: end}
	}
}

// normal reads one token outside of string literals.
func (s *scanner) normal() *limitError {
	c := s.src[s.pos]
	switch {
	case c == '\n':
		s.endOfLine()
	case c == ' ' || c == '\t' || c == '\r':
		s.pos++
	case c == '#', c == '/' && s.at(1) == '/':
		s.skipLine()
	case c == '/' && s.at(1) == '*':
		return s.comment()
	case c == '"':
		s.pos++
		return s.enter(mode{kind: 'q'})
	case c == '<' && s.at(1) == '<':
		return s.heredocIntroducer()
	case isIdentStart(c):
		return s.word()
	case c >= '0' && c <= '9':
		s.keyword(nil)
		s.pos++
	case c == '(' || c == '[' || c == '{':
		return s.open(c)
	case c == ')' || c == ']' || c == '}':
		s.close(c)
		s.pos++
	case c == ',':
		s.separate()
		s.pos++
	case c == '.':
		s.pos++
	default:
		s.pos++
		return s.operator()
	}
	return nil
}

// endOfLine ends an expression unless it stands in brackets, and a chunk if that
// is long enough and nothing is open. Only a line that ends a block may end a chunk.
func (s *scanner) endOfLine() {
	s.newline()
	before := s.pos
	s.pos++
	if open := s.top().open; open == 0 || open == '{' {
		s.separate()
	}
	if before > 0 && s.src[before-1] == '\r' {
		before--
	}
	if len(s.nest) == 0 && len(s.modes) == 0 && !s.odd && s.pos-s.begin.Byte >= s.chunkSize &&
		before > 0 && s.src[before-1] == '}' {
		s.cut(s.pos)
	}
}

func (s *scanner) skipLine() {
	end := bytes.IndexByte(s.src[s.pos:], '\n')
	if end < 0 {
		s.pos = len(s.src)
		return
	}
	s.pos += end
}

// comment skips /* */. One without an end is refused here: the lexer would scan
// to the end of the file again for every /* in it.
func (s *scanner) comment() *limitError {
	end := bytes.Index(s.src[s.pos+2:], []byte("*/"))
	if end < 0 {
		return s.limit("Comment without end", "This /* comment has no closing */.")
	}
	for stop := s.pos + 2 + end + 2; s.pos < stop; s.pos++ {
		if s.src[s.pos] == '\n' {
			s.newline()
		}
	}
	return nil
}

func (s *scanner) heredocIntroducer() *limitError {
	start := s.pos + 2
	if start < len(s.src) && s.src[start] == '-' {
		start++
	}
	end := bytes.IndexByte(s.src[start:], '\n')
	if end < 0 {
		s.pos++
		return s.operator()
	}
	marker := bytes.TrimSuffix(s.src[start:start+end], []byte("\r"))
	if len(marker) > 255 || !hclsyntax.ValidIdentifier(string(marker)) {
		s.pos++
		return s.operator()
	}
	s.keyword(nil)
	s.pos = start + end
	s.newline()
	s.pos++
	return s.enter(mode{kind: 'h', marker: marker, fresh: true})
}

func (s *scanner) word() *limitError {
	start := s.pos
	for s.pos++; s.pos < len(s.src) && isIdent(s.src[s.pos]); s.pos++ {
	}
	return s.keyword(s.src[start:s.pos])
}

// keyword looks at the first token inside a bracket or template directive.
func (s *scanner) keyword(word []byte) *limitError {
	if n := len(s.modes); n > 0 && s.modes[n-1].first {
		s.modes[n-1].first = false
		return s.directive(&s.modes[n-1], string(word))
	}
	if n := len(s.nest); n > 0 && s.nest[n-1].operators < 0 {
		s.nest[n-1].operators = 0
		if string(word) == "for" && s.nest[n-1].open != '(' && s.nest[n-1].open != 't' {
			s.nest[n-1].isFor = true
			return s.enterFor(s.pos - len(word))
		}
	}
	return nil
}

func (s *scanner) enterFor(pos int) *limitError {
	if s.fors++; s.fors > maxForDepth {
		s.pos = pos
		return s.limit("Expression too expensive", fmt.Sprintf(
			"for expressions may stand inside each other %d levels deep. Compute the inner ones in locals.", maxForDepth))
	}
	return nil
}

// open enters a bracket. Its operator count is -1 until its first token is seen.
func (s *scanner) open(c byte) *limitError {
	s.keyword(nil)
	if err := s.operator(); err != nil {
		return err
	}
	if c == '{' {
		s.braces++
	}
	err := s.push(nesting{open: c, operators: -1})
	s.pos++
	return err
}

func (s *scanner) push(n nesting) *limitError {
	if len(s.nest) >= maxDepth {
		return s.limit("Nested too deeply", fmt.Sprintf("Brackets and templates may stand inside each other %d levels deep.", maxDepth))
	}
	s.nest = append(s.nest, n)
	return nil
}

// close leaves a bracket. What a } closes is decided as the lexer decides it:
// by the count of braces, whatever other brackets are still open.
func (s *scanner) close(c byte) {
	s.keyword(nil)
	if c == '}' {
		s.braces--
		if n := len(s.modes); n > 0 && s.modes[n-1].kind == 's' && s.modes[n-1].braces == s.braces+1 {
			s.truncate(s.modes[n-1].nest)
			s.modes = s.modes[:n-1]
			return
		}
	}
	floor := 0
	if n := len(s.modes); n > 0 {
		floor = s.modes[n-1].nest
	}
	top := len(s.nest) - 1
	if top >= floor && matches(s.nest[top].open, c) {
		s.drop(s.nest[top])
		s.nest = s.nest[:top]
		return
	}
	s.odd = true
}

func matches(open, closing byte) bool {
	return open == '(' && closing == ')' || open == '[' && closing == ']' || open == '{' && closing == '}'
}

func (s *scanner) drop(n nesting) {
	if n.isFor {
		s.fors--
	}
}

func (s *scanner) truncate(length int) {
	for _, n := range s.nest[length:] {
		s.drop(n)
		s.odd = s.odd || n.open != 't'
	}
	s.nest = s.nest[:length]
}

// separate begins a new expression at the current level.
func (s *scanner) separate() {
	if top := s.top(); top.operators > 0 {
		top.operators = 0
	}
}

// top is the innermost open bracket, or what stands for the file itself.
func (s *scanner) top() *nesting {
	if len(s.nest) == 0 {
		return &s.file
	}
	return &s.nest[len(s.nest)-1]
}

func (s *scanner) operator() *limitError {
	s.keyword(nil)
	top := s.top()
	if top.operators++; top.operators > maxOperators {
		return s.limit("Expression too long", fmt.Sprintf("One expression may have %d operators. Split it with locals.", maxOperators))
	}
	return nil
}

// enter begins a template. Quotes do not count as depth of their own, the
// sequences inside them do.
func (s *scanner) enter(m mode) *limitError {
	s.keyword(nil)
	m.nest = len(s.nest)
	s.modes = append(s.modes, m)
	return nil
}

func (s *scanner) limit(summary, detail string) *limitError {
	return &limitError{s.position(), summary, detail}
}

func isIdentStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func isIdent(c byte) bool {
	return isIdentStart(c) || c == '-' || c >= '0' && c <= '9'
}
