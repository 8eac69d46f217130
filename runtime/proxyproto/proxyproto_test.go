package proxyproto

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var (
	four  = netip.MustParseAddrPort("192.0.2.1:56324")
	four2 = netip.MustParseAddrPort("198.51.100.7:443")
	six   = netip.MustParseAddrPort("[2001:db8::1]:65535")
	six2  = netip.MustParseAddrPort("[2001:db8::2]:1")
	none  netip.AddrPort
)

func TestAppend(t *testing.T) {
	const v2 = "\r\n\r\n\x00\r\nQUIT\n"
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"v1 IPv4", Append(nil, 1, four, four2), "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"},
		{"v1 IPv6", Append(nil, 1, six, six2), "PROXY TCP6 2001:db8::1 2001:db8::2 65535 1\r\n"},
		{"v1 mixed", Append(nil, 1, four, six2), "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 56324 1\r\n"},
		{"v1 mapped", Append(nil, 1, netip.MustParseAddrPort("[::ffff:192.0.2.1]:9"), four2), "PROXY TCP4 192.0.2.1 198.51.100.7 9 443\r\n"},
		{"v1 zone", Append(nil, 1, netip.MustParseAddrPort("[fe80::1%lo]:9"), six2), "PROXY TCP6 fe80::1 2001:db8::2 9 1\r\n"},
		{"v1 unknown", Append(nil, 1, none, four2), "PROXY UNKNOWN\r\n"},
		{"v2 IPv4", Append(nil, 2, four, four2), v2 + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb"},
		{"v2 UDP", AppendDatagram(nil, four, four2), v2 + "\x21\x12\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb"},
		{"v2 IPv6", Append(nil, 2, six, six2), v2 + "\x21\x21\x00\x24" +
			" \x01\r\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
			" \x01\r\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\xff\xff\x00\x01"},
		{"v2 unknown", Append(nil, 2, four, none), v2 + "\x21\x00\x00\x00"},
		{"after something", Append([]byte("x"), 1, none, none), "xPROXY UNKNOWN\r\n"},
	} {
		if string(c.got) != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
}

func TestParseText(t *testing.T) {
	longest := "PROXY TCP6 " + strings.Repeat("ffff:", 7) + "ffff " + strings.Repeat("ffff:", 7) + "ffff 65535 65535\r\n"
	for _, c := range []struct {
		text string
		want Header
		fail string
	}{
		{text: "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", want: Header{Version: 1, Source: four, Destination: four2}},
		{text: "PROXY TCP6 2001:db8::1 2001:db8::2 65535 1\r\n", want: Header{Version: 1, Source: six, Destination: six2}},
		{text: "PROXY UNKNOWN\r\n", want: Header{Version: 1}},
		{text: "PROXY UNKNOWN what ever this says\r\n", want: Header{Version: 1}},
		{text: "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", want: Header{Version: 1,
			Source: netip.MustParseAddrPort("0.0.0.0:0"), Destination: netip.MustParseAddrPort("0.0.0.0:0")}},
		{text: "PROXY UNKNOWN " + strings.Repeat("x", MaxText-16) + "\r\n", want: Header{Version: 1}},
		{text: "PROXY UNKNOWN " + strings.Repeat("x", MaxText-15) + "\r\n", fail: "CR LF"},
		{text: strings.Repeat("PROXY UNKNOWN ", 8), fail: "within 107 bytes"},
		{text: longest[:len(longest)-2] + "0\r\n", fail: "no port"},
		{text: "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n", fail: "CR LF"},
		{text: "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\rx\n", fail: "CR LF"},
		{text: "PROXY TCP4 192.0.2.1  198.51.100.7 56324 443\r\n", fail: "neither"},
		{text: "PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n", fail: "neither"},
		{text: "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 \r\n", fail: "neither"},
		{text: "PROXY UDP4 192.0.2.1 198.51.100.7 56324 443\r\n", fail: "neither"},
		{text: "PROXY \r\n", fail: "neither"},
		{text: "PROXY TCP4 192.0.2.01 198.51.100.7 56324 443\r\n", fail: "no address"},
		{text: "PROXY TCP4 192.0.2.1 2001:db8::1 56324 443\r\n", fail: "no address"},
		{text: "PROXY TCP6 192.0.2.1 2001:db8::1 56324 443\r\n", fail: "no address"},
		{text: "PROXY TCP6 fe80::1%lo 2001:db8::1 56324 443\r\n", fail: "no address"},
		{text: "PROXY TCP4 192.0.2.1 198.51.100.7 056324 443\r\n", fail: "no port"},
		{text: "PROXY TCP4 192.0.2.1 198.51.100.7 56324 65536\r\n", fail: "no port"},
		{text: "PROXY TCP4 192.0.2.1 198.51.100.7 +5 443\r\n", fail: "no port"},
		{text: "GET / HTTP/1.1\r\n", fail: "does not begin"},
		{text: "proxy TCP4", fail: "does not begin"},
		{text: "PROXY\r\n", fail: "does not begin"},
	} {
		check(t, c.text, c.want, c.fail)
	}
}

// block is a header of version 2.
func block(command, protocol byte, content string) string {
	b := append([]byte(signature), command, protocol, 0, 0)
	binary.BigEndian.PutUint16(b[len(b)-2:], uint16(len(content)))
	return string(b) + content
}

// summed puts the right checksum behind a header's content.
func summed(content string) string {
	whole := []byte(block(0x21, 0x11, content+"\x03\x00\x04\x00\x00\x00\x00"))
	at := len(whole) - 4
	binary.BigEndian.PutUint32(whole[at:], checksum(whole, at))
	return string(whole)
}

func TestParseBinary(t *testing.T) {
	const (
		addresses4 = "\xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb"
		noop       = "\x04\x00\x02ab"
	)
	known := Header{Version: 2, Source: four, Destination: four2}
	udp := known
	udp.Datagram = true
	right := summed(addresses4 + noop)
	for _, c := range []struct {
		text string
		want Header
		fail string
	}{
		{text: string(Append(nil, 2, four, four2)), want: known},
		{text: string(AppendDatagram(nil, four, four2)), want: udp},
		{text: string(Append(nil, 2, six, six2)), want: Header{Version: 2, Source: six, Destination: six2}},
		{text: string(Append(nil, 2, none, none)), want: Header{Version: 2}},
		{text: block(0x20, 0x00, ""), want: Header{Version: 2}},
		{text: block(0x20, 0xff, "whatever"), want: Header{Version: 2}},
		{text: block(0x21, 0x31, strings.Repeat("/", unixSize)), want: Header{Version: 2}},
		{text: block(0x21, 0x10, addresses4), want: Header{Version: 2}},
		{text: block(0x21, 0x11, addresses4+noop+"\xea\x00\x00"), want: known},
		{text: right, want: known},
		{text: block(0x21, 0x11, addresses4+strings.Repeat("\x04\x00\x00", (MaxBinary-28)/3)), want: known},
		{text: block(0x21, 0x11, addresses4+strings.Repeat("\x04\x00\x00", (MaxBinary-28)/3+1)), fail: "at most 4096"},
		{text: block(0x21, 0x11, addresses4+"\x04\x00\x01x"+strings.Repeat("\x04\x00\x00", (MaxBinary-28)/3-1)), fail: "at most 4096"},
		{text: block(0x20, 0x00, strings.Repeat("x", 65535)), fail: "at most 4096"},
		{text: right[:len(right)-1] + "!", fail: "checksum is wrong"},
		{text: strings.Replace(right, "ab", "aB", 1), fail: "checksum is wrong"},
		{text: block(0x21, 0x11, addresses4+"\x03\x00\x03abc"), fail: "checksum of 3 bytes"},
		{text: block(0x21, 0x11, addresses4+"\x04\x00"), fail: "cut off"},
		{text: block(0x21, 0x11, addresses4+"\x04\x00\x03ab"), fail: "longer than the header"},
		{text: block(0x21, 0x11, addresses4[1:]), fail: "too few"},
		{text: block(0x21, 0x21, addresses4), fail: "too few"},
		{text: block(0x21, 0x31, addresses4), fail: "too few"},
		{text: block(0x11, 0x11, addresses4), fail: "version and command"},
		{text: block(0x22, 0x11, addresses4), fail: "version and command"},
		{text: block(0x21, 0x41, addresses4), fail: "unknown family"},
		{text: block(0x21, 0x13, addresses4), fail: "unknown family"},
		{text: "\r\n\r\n\x00\r\nQUIT\r", fail: "does not begin"},
	} {
		check(t, c.text, c.want, c.fail)
	}
}

// TestChecksum compares with a value of RFC 3720, appendix B.4: 32 bytes of zeros.
func TestChecksum(t *testing.T) {
	const sumAt = 9
	b := make([]byte, 32)
	binary.BigEndian.PutUint32(b[sumAt:], 0xfeedbeef) // counts as zeros
	if got, want := checksum(b, sumAt), uint32(0x8a9136aa); got != want {
		t.Errorf("%#x, want %#x", got, want)
	}
}

// check parses a text and every beginning of it.
func check(t *testing.T, text string, want Header, fail string) {
	t.Helper()
	const rest = "the first bytes"
	h, n, err := Parse([]byte(text + rest))
	if fail != "" {
		if err == nil || !strings.Contains(err.Error(), fail) {
			t.Errorf("%.60q: %+v, %d, %v; want an error with %q", text, h, n, err, fail)
		}
		return
	}
	if err != nil || n != len(text) || h != want {
		t.Errorf("%.60q: %+v, %d, %v; want %+v, %d", text, h, n, err, want, len(text))
	}
	for i := range len(text) {
		if h, n, err := Parse([]byte(text[:i])); n != 0 || err != nil || h != (Header{}) {
			t.Fatalf("%.60q: the first %d bytes are %+v, %d, %v", text, i, h, n, err)
		}
	}
}

// TestRoundTrip reads back whatever is written, with anything behind it.
func TestRoundTrip(t *testing.T) {
	endpoint := rapid.Custom(func(t *rapid.T) netip.AddrPort {
		size := rapid.SampledFrom([]int{4, 16}).Draw(t, "size")
		addr, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "address"))
		return netip.AddrPortFrom(addr.Unmap(), rapid.Uint16().Draw(t, "port"))
	})
	rapid.Check(t, func(t *rapid.T) {
		src, dst := endpoint.Draw(t, "source"), endpoint.Draw(t, "destination")
		rest := rapid.SliceOf(rapid.Byte()).Draw(t, "rest")
		for version := 1; version <= 2; version++ {
			b := Append(nil, version, src, dst)
			h, n, err := Parse(append(b, rest...))
			if err != nil || n != len(b) || h.Version != version || unmap(h.Source) != src || unmap(h.Destination) != dst {
				t.Fatalf("%v to %v in version %d came back as %+v, %d, %v", src, dst, version, h, n, err)
			}
		}
	})
}

func unmap(ep netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ep.Addr().Unmap(), ep.Port())
}

// FuzzParse holds what Parse must keep for any bytes: a header lies inside them, more
// bytes never change a verdict, and what is read can be written and read again.
func FuzzParse(f *testing.F) {
	for _, version := range []int{1, 2} {
		f.Add(Append(nil, version, four, four2))
		f.Add(Append(nil, version, six, six2))
		f.Add(Append(nil, version, none, none))
	}
	f.Add([]byte(summed("\xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb")))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := Parse(b)
		switch {
		case err != nil && (n != 0 || h != Header{}):
			t.Fatalf("an error with %+v, %d", h, n)
		case err == nil && n == 0 && len(b) >= MaxBinary:
			t.Fatal("incomplete for ever")
		case n > len(b) || n > MaxBinary || h.Version == 1 && n > MaxText:
			t.Fatalf("a header of %d bytes in %d", n, len(b))
		}
		longer, m, errLonger := Parse(append(b[:len(b):len(b)], "more"...))
		if (err != nil || n > 0) && (longer != h || m != n || (errLonger == nil) != (err == nil)) {
			t.Fatalf("%+v, %d, %v changed to %+v, %d, %v", h, n, err, longer, m, errLonger)
		}
		if n > 0 && h.Source.IsValid() && !h.Datagram {
			again, _, err := Parse(Append(nil, h.Version, h.Source, h.Destination))
			if err != nil || unmap(again.Source) != unmap(h.Source) || unmap(again.Destination) != unmap(h.Destination) {
				t.Fatalf("%+v was written and read as %+v, %v", h, again, err)
			}
		}
	})
}
