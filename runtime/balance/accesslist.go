package balance

import (
	"cmp"
	"math/bits"
	"net/netip"
	"slices"
)

// AccessList decides which client addresses a listener lets in.
type AccessList struct {
	white   bool
	v4, v6  prefixTree
	entries []netip.Prefix // for Entry and Entries
}

// NewAccessList returns a white list, which lets in the entries alone (an empty one
// nobody), or a black list, which lets in all others. An IPv4 address and its
// IPv6-mapped form are one client.
func NewAccessList(entries []netip.Prefix, white bool) *AccessList {
	var v4, v6 []block
	for _, e := range entries {
		switch a := e.Addr(); {
		case a.Is4():
			v4 = append(v4, newBlock(a.AsSlice(), e.Bits()))
		case a.Is4In6() && e.Bits() >= 96:
			v4 = append(v4, newBlock(a.Unmap().AsSlice(), e.Bits()-96))
		default:
			v6 = append(v6, newBlock(a.AsSlice(), e.Bits()))
		}
	}
	return &AccessList{white: white, v4: newPrefixTree(v4), v6: newPrefixTree(v6), entries: entries}
}

// Allows reports whether the list lets an address in; a nil list lets in all. It
// takes one step for each byte of the address at most, however long the list.
func (a *AccessList) Allows(addr netip.Addr) bool {
	if a == nil {
		return true
	}
	if addr = addr.Unmap(); addr.Is4() {
		b := addr.As4()
		return a.v4.has(b[:]) == a.white
	}
	b := addr.As16()
	return a.v6.has(b[:]) == a.white
}

// Same reports whether two lists say the same in the same words. Lists that do not may
// still treat all alike.
func (a *AccessList) Same(b *AccessList) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.white == b.white && slices.Equal(a.entries, b.entries)
}

// Entries returns the list's entries, which nobody may change.
func (a *AccessList) Entries() []netip.Prefix { return a.entries }

// block is a prefix: the first bits of an address.
type block struct {
	addr [16]byte
	bits int
}

func newBlock(addr []byte, bits int) block {
	b := block{bits: bits}
	copy(b.addr[:], addr)
	for i := range b.addr {
		b.addr[i] &^= byte(0xff >> min(max(bits-8*i, 0), 8))
	}
	return b
}

// prefixTree is a set of blocks as a tree with one level per byte. Node 0 is the
// root; an empty tree has none.
type prefixTree []prefixNode

// prefixNode says of each value of one byte of an address: all such addresses are
// in the set, or some (a child knows which), or none. Children stand in a row from
// first on, in the order of their values.
type prefixNode struct {
	all, some [4]uint64
	before    [4]uint32 // children of the words of some before each
	first     uint32
}

func (t prefixTree) has(addr []byte) bool {
	if len(t) == 0 {
		return false
	}
	n := &t[0]
	for _, b := range addr {
		word, bit := b>>6, uint64(1)<<(b&63)
		if n.all[word]&bit != 0 {
			return true
		}
		if n.some[word]&bit == 0 {
			return false
		}
		n = &t[n.first+n.before[word]+uint32(bits.OnesCount64(n.some[word]&(bit-1)))]
	}
	return false
}

// newPrefixTree builds the tree level by level, so that the children of a node end
// up side by side.
func newPrefixTree(blocks []block) prefixTree {
	if len(blocks) == 0 {
		return nil
	}
	slices.SortFunc(blocks, func(a, b block) int {
		return cmp.Or(slices.Compare(a.addr[:], b.addr[:]), cmp.Compare(a.bits, b.bits))
	})
	type task struct {
		blocks []block // of one node: alike up to its byte, and longer than that
		depth  int
	}
	tree := prefixTree{{}}
	todo := []task{{blocks, 0}}
	for at := 0; at < len(todo); at++ {
		n, next := &tree[at], todo[at]
		n.first = uint32(len(tree))
		d := next.depth
		for _, b := range next.blocks {
			if b.bits <= 8*(d+1) {
				n.fill(int(b.addr[d]), 1<<(8*(d+1)-b.bits))
			}
		}
		for rest := next.blocks; len(rest) > 0; {
			v := rest[0].addr[d]
			end := 1
			for end < len(rest) && rest[end].addr[d] == v {
				end++
			}
			if word, bit := v>>6, uint64(1)<<(v&63); n.all[word]&bit == 0 {
				n.some[word] |= bit
				todo = append(todo, task{rest[:end], d + 1})
			}
			rest = rest[end:]
		}
		for w := range 3 {
			n.before[w+1] = n.before[w] + uint32(bits.OnesCount64(n.some[w]))
		}
		tree = append(tree, make(prefixTree, len(todo)-len(tree))...)
	}
	return tree
}

// fill marks n values from one on as wholly in the set.
func (n *prefixNode) fill(from, count int) {
	for v := from; v < from+count; v++ {
		n.all[v>>6] |= 1 << (v & 63)
	}
}
