package durable_test

import (
	"slices"
	"strings"
	"testing"

	"slbctl/runtime/durable"
)

func sealed() []byte {
	doc := []byte("{\n  \"format_version\": \"1.0\",\n  \"checksum\": \"" + durable.NoChecksum + "\",\n  \"x\": [1, 2]\n}\n")
	durable.Seal(doc)
	return doc
}

func TestSealFindsEveryDamage(t *testing.T) {
	doc := sealed()
	if err := durable.Unseal(doc); err != nil {
		t.Fatal(err)
	}
	if sum := durable.Checksum(doc); sum == durable.NoChecksum || len(sum) != 64 {
		t.Fatalf("checksum %q", sum)
	}
	for n := range doc {
		if durable.Unseal(doc[:n]) == nil {
			t.Errorf("cut to %d bytes: accepted", n)
		}
		for bit := range 8 {
			flipped := slices.Clone(doc)
			flipped[n] ^= 1 << bit
			if durable.Unseal(flipped) == nil {
				t.Errorf("byte %d, bit %d flipped: accepted", n, bit)
			}
		}
	}
	if durable.Unseal(append(doc, '\n')) == nil {
		t.Error("a byte more: accepted")
	}
}

func TestUnsealSaysWhatIsWrong(t *testing.T) {
	doc := sealed()
	for _, c := range []struct{ data, want string }{
		{"", "it is empty"},
		{" \n", "it is empty"},
		{`{"version":4}`, "it is JSON, but nothing that slbctl has written"},
		{"instance {}", "it is cut off, or nothing that slbctl has written"},
		{string(doc[:40]), "it is cut off, or nothing that slbctl has written"},
		{string(doc[:len(doc)-3]), "it is cut off or damaged: its checksum does not match"},
		{strings.Replace(string(doc), "[1, 2]", "[1, 3]", 1), "it was changed or damaged: its checksum does not match"},
	} {
		if err := durable.Unseal([]byte(c.data)); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.data, err, c.want)
		}
	}
}
