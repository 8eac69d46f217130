package balance

// Limits returns what one of the product's specs allows a load balancer:
// connections at once, new connections a second, and requests a second to its
// HTTP listeners. ok is false for a name that is none, which limits nothing.
// Source: the product's table of guaranteed-performance specifications.
func Limits(spec string) (connections, cps, qps int, ok bool) {
	l, ok := limits[spec]
	return l.connections, l.cps, l.qps, ok
}

var limits = map[string]struct{ connections, cps, qps int }{
	"slb.s1.small":   {5_000, 3_000, 1_000},
	"slb.s2.small":   {50_000, 5_000, 5_000},
	"slb.s2.medium":  {100_000, 10_000, 10_000},
	"slb.s3.small":   {200_000, 20_000, 20_000},
	"slb.s3.medium":  {500_000, 50_000, 30_000},
	"slb.s3.large":   {1_000_000, 100_000, 50_000},
	"slb.s3.xlarge":  {2_000_000, 200_000, 100_000},
	"slb.s3.xxlarge": {5_000_000, 500_000, 100_000},
}
