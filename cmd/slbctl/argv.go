package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// argsVariable is the environment variable whose words are put in front of a
// command's own arguments; with _COMMAND appended it is for that command only.
const argsVariable = "SLBCTL_CLI_ARGS"

// commandLine turns what the user typed into what kong parses: words from the
// environment stand right after the command, so that typed flags win, and long
// flags begin with two dashes.
func commandLine(root *kong.Node, args, environ []string) ([]string, error) {
	if len(args) == 1 && (args[0] == "-version" || args[0] == "--version" || args[0] == "-v") {
		return []string{"version"}, nil
	}
	args = withDashes(args)
	at, path := findCommand(root, args)
	if at == 0 {
		return args, nil
	}
	var extra []string
	for _, name := range []string{argsVariable, argsVariable + "_" + strings.Join(path, "_")} {
		if name == argsVariable && startedByOthers(path) {
			continue
		}
		words, err := splitWords(lookup(environ, name))
		if err != nil {
			return nil, fmt.Errorf("environment variable %s: %w", name, err)
		}
		extra = append(extra, withDashes(words)...)
	}
	return append(append(args[:at:at], extra...), args[at:]...), nil
}

// startedByOthers names the commands that slbctl itself starts: they inherit an
// environment that was meant for another command.
func startedByOthers(path []string) bool {
	return len(path) == 2 && path[0] == "runtime" && (path[1] == "run" || path[1] == "instances")
}

// withDashes writes -name as --name, up to a lone "--". A single letter is a flag
// of one letter, and a lone "-" is standard input. A negative number is the value of
// the flag before it, and no flag.
func withDashes(args []string) []string {
	out := make([]string, 0, len(args))
	for i, a := range args {
		if a == "--" {
			return append(out, args[i:]...)
		}
		name, _, _ := strings.Cut(a, "=")
		switch {
		case len(name) > 2 && name[0] == '-' && isLetter(name[1]):
			a = "-" + a
		case isNegative(a) && len(out) > 0 && strings.HasPrefix(out[len(out)-1], "--") && !strings.Contains(out[len(out)-1], "="):
			out[len(out)-1] += "=" + a
			continue
		}
		out = append(out, a)
	}
	return out
}

func isNegative(word string) bool {
	return len(word) > 1 && word[0] == '-' && word[1] >= '0' && word[1] <= '9'
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// findCommand returns the names of the command that args select, and the index
// after the last of them; 0 when there is none.
func findCommand(root *kong.Node, args []string) (after int, path []string) {
	node := root
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		if strings.HasPrefix(args[i], "-") {
			if takesNext(node, args[i]) {
				i++
			}
			continue
		}
		next := childOf(node, args[i])
		if next == nil {
			break
		}
		node, after, path = next, i+1, append(path, next.Name)
	}
	return after, path
}

func childOf(node *kong.Node, name string) *kong.Node {
	for _, c := range node.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// takesNext says whether a flag's value is the argument after it.
func takesNext(node *kong.Node, arg string) bool {
	if strings.Contains(arg, "=") {
		return false
	}
	for _, group := range node.AllFlags(false) {
		for _, f := range group {
			if "--"+f.Name == arg {
				return !f.IsBool()
			}
		}
	}
	return false
}

func lookup(environ []string, name string) string {
	value := ""
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

// splitWords splits as a shell does: at white space, except inside quotes.
func splitWords(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	quote, inWord, escaped := rune(0), false, false
	for _, r := range text {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, inWord = r, true
		case quote == 0 && (r == ' ' || r == '\t' || r == '\n'):
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	}
	if escaped {
		return nil, errors.New("nothing follows the last backslash")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
