package balance

import (
	"encoding/binary"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// The hash of three words, and of six, is that of their bytes: servers keep their clients whichever makes it.
func TestHashIsXXH64(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.SliceOfN(rapid.Uint64(), 6, 6).Draw(t, "words")
		var key []byte
		for _, word := range w {
			key = binary.LittleEndian.AppendUint64(key, word)
		}
		if got, want := hash3(w[0], w[1], w[2]), xxhash.Sum64(key[:24]); got != want {
			t.Fatalf("of three: %#x, want %#x", got, want)
		}
		if got, want := hash6(w[0], w[1], w[2], w[3], w[4], w[5]), xxhash.Sum64(key); got != want {
			t.Fatalf("of six: %#x, want %#x", got, want)
		}
	})
}
