package spec

import (
	"bytes"

	"github.com/hashicorp/hcl/v2"
)

// quoted reads one piece of a quoted template.
func (s *scanner) quoted() *limitError {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case '"':
			s.pos++
			s.leave()
			return nil
		case '\\':
			if next := s.at(1); next != '\n' && next != '\r' {
				s.pos++
			}
		case '\n':
			s.newline()
		case '$', '%':
			if s.sequence() {
				return s.enterSequence()
			}
		}
		s.pos++
	}
	return nil
}

// heredoc reads one piece of a heredoc: at most to the end of the line.
func (s *scanner) heredoc() *limitError {
	m := &s.modes[len(s.modes)-1]
	start := s.pos
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case '\n':
			ended := m.fresh && bytes.Equal(bytes.TrimSpace(s.src[start:s.pos]), m.marker)
			m.fresh = true
			if ended {
				s.leave()
				return nil // the newline is the next token
			}
			s.newline()
			s.pos++
			return nil
		case '\r':
			if s.at(1) != '\n' {
				return s.limit("Stray carriage return", "The lines of a heredoc end with a newline.")
			}
		case '$', '%':
			m.fresh = false
			if s.sequence() {
				return s.enterSequence()
			}
		}
		s.pos++
	}
	return nil
}

// sequence reports whether ${ or %{ begins here. Doubled, $${ is literal text,
// and is skipped up to its brace.
func (s *scanner) sequence() bool {
	c := s.src[s.pos]
	if s.at(1) == '{' {
		return true
	}
	if s.at(1) == c && s.at(2) == '{' {
		s.pos += 2
	}
	return false
}

func (s *scanner) enterSequence() *limitError {
	directive := s.src[s.pos] == '%'
	for i := range s.modes {
		s.modes[i].fresh = false
	}
	s.braces++
	m := mode{kind: 's', braces: s.braces, nest: len(s.nest), first: directive}
	if err := s.push(nesting{open: 't'}); err != nil {
		return err
	}
	s.pos += 2
	if s.at(0) == '~' {
		s.pos++
	}
	s.modes = append(s.modes, m)
	return nil
}

// directive keeps track of %{ if }, %{ for } and their ends, which the parser
// nests although no bracket does. The nesting lies below the sequence's own.
func (s *scanner) directive(m *mode, word string) *limitError {
	switch word {
	case "if", "for":
		own := s.nest[m.nest:]
		d := nesting{open: 'd', isFor: word == "for"}
		s.nest = append(s.nest[:m.nest:m.nest], append([]nesting{d}, own...)...)
		m.nest++
		if d.isFor {
			return s.enterFor(s.pos - len(word))
		}
	case "endif", "endfor":
		if m.nest > 0 && s.nest[m.nest-1].open == 'd' {
			s.drop(s.nest[m.nest-1])
			s.nest = append(s.nest[:m.nest-1], s.nest[m.nest:]...)
			m.nest--
		}
	}
	return nil
}

// leave ends a quoted template or heredoc, and the directives that were open in it.
func (s *scanner) leave() {
	top := len(s.modes) - 1
	s.truncateDirectives(s.modes[top].nest)
	s.modes = s.modes[:top]
}

func (s *scanner) truncateDirectives(length int) {
	for _, n := range s.nest[length:] {
		s.drop(n)
	}
	s.nest = s.nest[:length]
}

// scanTemplate checks the limits of a text that is a template as a whole.
func scanTemplate(src []byte) *limitError {
	s := &scanner{src: src, line: 1, begin: hcl.InitialPos}
	s.modes = []mode{{kind: 'h', marker: []byte("\n")}} // no line is that
	for s.pos < len(src) {
		if err := s.step(); err != nil {
			return err
		}
	}
	return nil
}
