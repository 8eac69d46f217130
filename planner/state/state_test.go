package state_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"slbctl/planner/state"
	"slbctl/runtime/durable"
	"slbctl/runtime/durable/durabletest"
	"slbctl/spec"
)

// sample is a state with n resources.
func sample(serial uint64, n int) *state.State {
	s := &state.State{
		Lineage: "9f1c", Serial: serial, Generation: serial + 100, ConfigHash: fmt.Sprintf("hash-%d", serial),
		Seed: math.MaxUint64 - 1,
		Runtime: spec.Runtime{
			Network: netip.MustParsePrefix("127.10.0.0/16"), Loops: 2, PortOffset: 8000, Expose: true,
			DNSAddress: netip.MustParseAddrPort("127.10.0.1:53"), MetricsAddress: netip.MustParseAddrPort("[::1]:9100"),
		},
		Outputs: []spec.Output{{Name: "url", Value: "http://127.10.0.4/?a=1&b=<2>", Description: "where"}},
	}
	for i := range n {
		address := fmt.Sprintf("instance.web[%d]", i)
		s.Resources = append(s.Resources, spec.Resource{
			Address: address, Kind: "instance", Name: "web", ID: spec.NewID(address, i%3), Replacements: i % 3,
			Attributes: map[string]any{"address": fmt.Sprintf("127.10.1.%d", i)},
		})
	}
	if n > 0 { // the others are plain, because tests read them ten thousand times
		s.Resources[0].Attributes = map[string]any{"address": "127.10.1.0", "serial": float64(serial), "ports": []any{80.0}, "tags": map[string]any{}, "none": nil}
	}
	return s
}

func encode(t testing.TB, s *state.State) []byte {
	t.Helper()
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 3} {
		want := sample(7, n)
		data := encode(t, want)
		if !json.Valid(data) || !bytes.Equal(data, encode(t, want)) {
			t.Errorf("document of %d resources:\n%s", n, data)
		}
		got, err := state.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if got.Resources == nil || n == 0 {
			got.Resources = want.Resources
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("read\n%+v\nwant\n%+v", got, want)
		}
	}
}

func TestDocument(t *testing.T) {
	want := `{
  "format_version": "1.0",
  "checksum": "CHECKSUM",
  "lineage": "9f1c",
  "serial": 7,
  "generation": 107,
  "config_hash": "hash-7",
  "seed": "18446744073709551614",
  "runtime": {
    "network": "127.10.0.0/16",
    "loops": 2,
    "port_offset": 8000,
    "expose": true,
    "dns_address": "127.10.0.1:53",
    "metrics_address": "[::1]:9100"
  },
  "outputs": [
    {
      "name": "url",
      "value": "http://127.10.0.4/?a=1&b=<2>",
      "description": "where"
    }
  ],
  "resources": [
    {"address":"instance.web[0]","kind":"instance","name":"web","id":"ID","replacements":0,"prevent_destroy":false,"attributes":{"address":"127.10.1.0","none":null,"ports":[80],"serial":7,"tags":{}}}
  ]
}
`
	s := sample(7, 1)
	s.Resources[0].ID = "ID"
	data := encode(t, s)
	if got := strings.Replace(string(data), durable.Checksum(data), "CHECKSUM", 1); got != want {
		t.Errorf("got %s", got)
	}
}

func TestDecodeFindsEveryDamage(t *testing.T) {
	data := encode(t, sample(7, 2))
	for n := range data {
		if _, err := state.Decode(data[:n]); err == nil {
			t.Errorf("cut to %d of %d bytes: accepted", n, len(data))
		}
		flipped := slices.Clone(data)
		flipped[n] ^= 1 << (n % 8)
		if _, err := state.Decode(flipped); err == nil {
			t.Errorf("byte %d flipped: accepted", n)
		}
	}
}

func TestDecodeRefusesNewerFormat(t *testing.T) {
	data := bytes.Replace(encode(t, sample(7, 1)), []byte(`"1.0"`), []byte(`"2.0"`), 1)
	copy(data[bytes.Index(data, []byte(`"checksum": "`))+13:], durable.NoChecksum)
	durable.Seal(data)
	if _, err := state.Decode(data); err == nil || !strings.Contains(err.Error(), `format version is "2.0"`) {
		t.Errorf("got %v", err)
	}
}

func TestRecorded(t *testing.T) {
	r := sample(7, 3).Recorded()
	if r.Seed != math.MaxUint64-1 || r.Replacements["instance.web[2]"] != 2 || r.Addresses["instance.web[1]"] != netip.MustParseAddr("127.10.1.1") {
		t.Errorf("got %+v", r)
	}
	var none *state.State
	if r := none.Recorded(); r.Addresses == nil || len(r.Addresses) != 0 {
		t.Errorf("nothing recorded gives %+v", r)
	}
}

func TestLoad(t *testing.T) {
	disk := durabletest.New()
	store := state.Open(disk, "/w", "")
	if s, err := store.Load(); s != nil || err != nil {
		t.Fatalf("without a file: %v, %v", s, err)
	}
	for _, c := range []struct{ name, content, want string }{
		{"empty", "", "it is empty"},
		{"foreign", `{"version": 4}`, "nothing that slbctl has written"},
		{"cut", string(encode(t, sample(3, 1))[:500]), "it is cut off"},
	} {
		disk.Put("/w/slbctl.state.json", []byte(c.content))
		_, err := store.Load()
		var corrupt *state.CorruptError
		if !errors.As(err, &corrupt) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "no history") {
			t.Errorf("%s: %v", c.name, err)
		}
		if kept, _ := disk.ReadFile("/w/slbctl.state.json"); string(kept) != c.content {
			t.Errorf("%s: the file was not kept", c.name)
		}
	}
	disk.Put("/w/.slbctl/history/9.json", encode(t, sample(9, 1)))
	disk.Put("/w/.slbctl/history/10.json", encode(t, sample(10, 1)))
	disk.Put("/w/.slbctl/history/11.json", []byte("damaged"))
	_, err := store.Load()
	if err == nil || !strings.HasSuffix(err.Error(), "cp /w/.slbctl/history/10.json /w/slbctl.state.json") {
		t.Errorf("got %v", err)
	}
}

// TestHintKeepsToTheLineage has the history of a state that was deleted beside the
// one of its successor, whose serials an older slbctl began at 1 again.
func TestHintKeepsToTheLineage(t *testing.T) {
	disk := durabletest.New()
	for serial, lineage := range map[uint64]string{2: "new", 3: "new", 7: "old"} {
		s := sample(serial, 1)
		s.Lineage = lineage
		disk.Put(fmt.Sprintf("/w/.slbctl/history/%d.json", serial), encode(t, s))
	}
	for _, c := range []struct{ lineage, want string }{
		{"new", "cp /w/.slbctl/history/3.json"},
		{"old", "cp /w/.slbctl/history/7.json"},
		{"third", "no history of it"},
	} {
		s := sample(4, 3)
		s.Lineage = c.lineage
		cut := encode(t, s)
		disk.Put("/w/slbctl.state.json", cut[:len(cut)-5])
		if _, err := state.Open(disk, "/w", "").Load(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("a damaged state of lineage %s: %v, want %s", c.lineage, err, c.want)
		}
	}
	disk.Put("/w/slbctl.state.json", nil)
	if _, err := state.Open(disk, "/w", "").Load(); err == nil || !strings.Contains(err.Error(), "history/7.json") {
		t.Errorf("an empty state tells no lineage: %v, want the newest of all", err)
	}
	if last, err := state.Open(disk, "/w", "").LastSerial(); last != 7 || err != nil {
		t.Errorf("the highest serial is %d, %v", last, err)
	}
	if last, err := state.Open(durabletest.New(), "/w", "").LastSerial(); last != 0 || err != nil {
		t.Errorf("without a history the highest serial is %d, %v", last, err)
	}
}

func TestCorruptErrorQuotesPaths(t *testing.T) {
	err := &state.CorruptError{Path: "/my w/it's.json", Reason: errors.New("x"), Good: "/h/1.json"}
	if !strings.HasSuffix(err.Error(), `cp /h/1.json '/my w/it'\''s.json'`) {
		t.Error(err)
	}
}

func TestMovedState(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "other.json")
	store := state.Open(durable.OS, filepath.Join(dir, "w"), path)
	if err := store.Begin(sample(1, 1), state.Base{}); err != nil {
		t.Fatal(err)
	}
	if _, err := durable.OS.ReadFile(filepath.Join(dir, "other.journal")); err != nil {
		t.Error(err)
	}
	if err := store.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := durable.OS.ReadFile(filepath.Join(dir, "other.history", "1.json")); err != nil {
		t.Error(err)
	}
	if s, err := store.Load(); err != nil || s.Serial != 1 {
		t.Errorf("%v, %v", s, err)
	}
}

func TestHistoryIsPruned(t *testing.T) {
	disk := durabletest.New()
	store := state.Open(disk, "/w", "")
	for serial := uint64(1); serial <= 60; serial++ {
		if err := store.Begin(sample(serial, 1), state.Base{Serial: serial - 1}); err != nil {
			t.Fatal(err)
		}
		if err := store.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	serials, err := store.History()
	if err != nil || len(serials) != 50 || serials[0] != 11 || serials[49] != 60 {
		t.Errorf("kept %v, %v", serials, err)
	}
	if s, err := store.LoadHistory(42); err != nil || s.Serial != 42 {
		t.Errorf("%v, %v", s, err)
	}
	if _, err := store.LoadHistory(5); err == nil || !strings.Contains(err.Error(), "serial 5 is not kept") {
		t.Error(err)
	}
	for _, name := range disk.Names() {
		if disk.Perm(name) != 0o600 {
			t.Errorf("%s has %o", name, disk.Perm(name))
		}
	}
}

func TestKey(t *testing.T) {
	disk := durabletest.New()
	store := state.Open(disk, "/w", "")
	first, err := store.Key()
	if err != nil || len(first) != 32 {
		t.Fatal(first, err)
	}
	if again, err := store.Key(); err != nil || !bytes.Equal(first, again) {
		t.Error("another key", err)
	}
	disk.Put("/w/.slbctl/key", []byte("short"))
	if _, err := store.Key(); err == nil || !strings.Contains(err.Error(), "5 bytes instead of 32") {
		t.Error(err)
	}
}
