package spec

import (
	"fmt"
	"math/big"
	"net"
	"net/netip"

	"github.com/zclconf/go-cty/cty"
)

var cidrHostFunc = fixed(cty.String, func(args []cty.Value) (cty.Value, error) {
	p, err := netip.ParsePrefix(args[0].AsString())
	if err != nil {
		return cty.NilVal, err
	}
	host, accuracy := args[1].AsBigFloat().Int(nil)
	if accuracy != big.Exact {
		return cty.NilVal, fmt.Errorf("the host number must be whole")
	}
	size := new(big.Int).Lsh(big.NewInt(1), uint(p.Addr().BitLen()-p.Bits()))
	if host.Sign() < 0 {
		host.Add(host, size) // counted from the end
	}
	if host.Sign() < 0 || host.Cmp(size) >= 0 {
		return cty.NilVal, fmt.Errorf("%s has no host number %s", p, args[1].AsBigFloat().Text('f', 0))
	}
	return cty.StringVal(addToAddress(p.Masked().Addr(), host).String()), nil
}, cty.String, cty.Number)

var cidrNetmaskFunc = fixed(cty.String, func(args []cty.Value) (cty.Value, error) {
	p, err := netip.ParsePrefix(args[0].AsString())
	if err != nil {
		return cty.NilVal, err
	}
	if !p.Addr().Is4() {
		return cty.NilVal, fmt.Errorf("only IPv4 networks have a netmask: %s", p)
	}
	return cty.StringVal(net.IP(net.CIDRMask(p.Bits(), 32)).String()), nil
}, cty.String)

var cidrSubnetFunc = fixed(cty.String, func(args []cty.Value) (cty.Value, error) {
	p, err := netip.ParsePrefix(args[0].AsString())
	if err != nil {
		return cty.NilVal, err
	}
	newBits, err := integer[int](0, 128).parse(args[1])
	if err != nil {
		return cty.NilVal, fmt.Errorf("newbits %w", err)
	}
	bits := p.Bits() + newBits
	if bits > p.Addr().BitLen() {
		return cty.NilVal, fmt.Errorf("%s has no room for %d more bits", p, newBits)
	}
	number, accuracy := args[2].AsBigFloat().Int(nil)
	if accuracy != big.Exact || number.Sign() < 0 || number.BitLen() > newBits {
		return cty.NilVal, fmt.Errorf("%d bits do not hold the network number %s", newBits, args[2].AsBigFloat().Text('f', -1))
	}
	number.Lsh(number, uint(p.Addr().BitLen()-bits))
	return cty.StringVal(netip.PrefixFrom(addToAddress(p.Masked().Addr(), number), bits).String()), nil
}, cty.String, cty.Number, cty.Number)

func addToAddress(a netip.Addr, n *big.Int) netip.Addr {
	sum := new(big.Int).Add(new(big.Int).SetBytes(a.AsSlice()), n)
	out, _ := netip.AddrFromSlice(sum.FillBytes(make([]byte, a.BitLen()/8))) // 4 or 16 bytes
	return out
}
