package loadgen

import (
	"container/list"
	"sync"
)

// lines are the connections that clients keep between two requests, at most one of each and
// so many altogether: then the one that has been idle longest is closed.
type lines struct {
	mu   sync.Mutex
	most int
	hung int
	idle list.List // of *line, the one that was used last in front
	of   map[*visitor]*list.Element
}

func newLines(most int) *lines { return &lines{most: most, of: map[*visitor]*list.Element{}} }

// take returns the connection that a visitor has kept; nil if there is none.
func (l *lines) take(v *visitor) *line {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.of[v]
	if e == nil {
		return nil
	}
	delete(l.of, v)
	return l.idle.Remove(e).(*line)
}

// keep keeps a visitor's connection, unless it has another one by now.
func (l *lines) keep(v *visitor, x *line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[v] != nil {
		x.close()
		return
	}
	l.of[v] = l.idle.PushFront(x)
	if l.idle.Len() <= l.most {
		return
	}
	oldest := l.idle.Remove(l.idle.Back()).(*line)
	delete(l.of, oldest.visitor)
	oldest.close()
	l.hung++
}

func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := l.idle.Front(); e != nil; e = e.Next() {
		e.Value.(*line).close()
	}
	l.idle.Init()
	clear(l.of)
}
