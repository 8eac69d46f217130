package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
)

// mayAsk fails a command that would have to ask, before it has done anything.
func (s *session) mayAsk(approved bool) error {
	if approved || s.ask {
		return nil
	}
	return errors.New("this must be approved, and there is nobody to ask (-input=false, or standard input is not a terminal): give -auto-approve, or apply a saved plan")
}

// confirm asks and returns nil only for the answer yes.
func (s *session) confirm(question, consequence string) error {
	fmt.Fprintf(s.stderr, "\n%s\n  %s\n  Only the word 'yes' goes on; everything else leaves things as they are.\n\n  Answer: ",
		s.bold(question), consequence)
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := bufio.NewReader(s.stdin).ReadString('\n')
		answers <- answer{text, err}
	}()
	select {
	case <-s.ctx.Done():
		fmt.Fprintln(s.stderr)
		return fmt.Errorf("nothing was changed: %w", context.Cause(s.ctx))
	case a := <-answers:
		fmt.Fprintln(s.stderr)
		switch {
		case a.err != nil && strings.TrimSpace(a.text) == "":
			return errors.New("the question was not answered: standard input ended; nothing was changed")
		case strings.TrimSpace(a.text) != "yes":
			return errCancelled
		}
		return nil
	}
}

func (s *session) bold(text string) string {
	if !s.colorErr {
		return text
	}
	return paint("1", text)
}
