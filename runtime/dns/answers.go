package dns

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/miekg/dns"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// answers is what a name answers to one type of question: by who asks.
type answers struct {
	lines     []lineAnswer // longest prefix first
	otherwise *answer      // whom no line has; nil where that is nobody
}

type lineAnswer struct {
	line netip.Prefix
	*answer
}

// answer is records that are given out together or, with an order, one at a time.
type answer struct {
	rrs   []dns.RR
	order []uint16
	taken atomic.Uint64 // queries so far: where in the order the next one is
	// weighted tells an order of nobody from none.
	weighted bool
}

// always is an answer that does not depend on who asks.
func always(rrs ...dns.RR) *answers { return &answers{otherwise: &answer{rrs: rrs}} }

func (a *answers) add(record *spec.Record, rrs []dns.RR) error {
	if len(record.Weights) > 0 && len(record.Weights) != len(rrs) {
		return fmt.Errorf("%d weights of %d values", len(record.Weights), len(rrs))
	}
	next := &answer{rrs: rrs, weighted: len(record.Weights) > 0, order: balance.AnswerOrder(record.Weights)}
	if record.Line == "" || record.Line == spec.LineDefault {
		if a.otherwise != nil {
			return fmt.Errorf("the default line is given twice")
		}
		a.otherwise = next
		return nil
	}
	line, err := netip.ParsePrefix(record.Line)
	if err != nil {
		return fmt.Errorf("line %q is not a network", record.Line)
	}
	a.lines = append(a.lines, lineAnswer{line.Masked(), next})
	slices.SortStableFunc(a.lines, func(x, y lineAnswer) int { return cmp.Compare(y.line.Bits(), x.line.Bits()) })
	return nil
}

// pick is the records for a source: those of the longest line that has all of it. Whoever
// only peeks takes no turn of a weighted record.
func (a *answers) pick(source netip.Prefix, peeks bool) (rrs []dns.RR, weighted bool) {
	if a == nil {
		return nil, false
	}
	chosen := a.otherwise
	for _, l := range a.lines {
		if l.line.Bits() <= source.Bits() && l.line.Contains(source.Addr()) {
			chosen = l.answer
			break
		}
	}
	if chosen == nil {
		return nil, false
	}
	return chosen.next(peeks), chosen.weighted
}

func (a *answer) next(peeks bool) []dns.RR {
	if !a.weighted {
		return a.rrs
	}
	if len(a.order) == 0 {
		return nil
	}
	taken := a.taken.Load()
	if !peeks {
		taken = a.taken.Add(1) - 1
	}
	at := a.order[taken%uint64(len(a.order))]
	return a.rrs[at : at+1]
}
