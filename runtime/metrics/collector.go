package metrics

import "github.com/prometheus/client_golang/prometheus"

// collector makes the series of one scrape from one Snapshot.
type collector struct{ read func() *Snapshot }

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	describe(out, runtimeFamilies)
	describe(out, balancerFamilies)
	describe(out, listenerFamilies)
	describe(out, serverFamilies)
}

func describe[T any](out chan<- *prometheus.Desc, families []family[T]) {
	for _, f := range families {
		out <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	all := c.read()
	tell(out, runtimeFamilies, all, nil)
	for i := range all.LoadBalancers {
		lb := &all.LoadBalancers[i]
		tell(out, balancerFamilies, lb, []string{lb.Address})
		for k := range lb.Listeners {
			lb.Listeners[k].collect(out)
		}
	}
}

func (l *Listener) collect(out chan<- prometheus.Metric) {
	labels := l.labels()
	tell(out, listenerFamilies, l, labels)
	for _, p := range l.Pools {
		for i := range p.Servers {
			server := placed{&p.Servers[i], l}
			tell(out, serverFamilies, &server, append(labels[:len(labels):len(labels)], p.Rule, p.Group, server.Name))
		}
	}
}

func tell[T any](out chan<- prometheus.Metric, families []family[T], of *T, labels []string) {
	for _, f := range families {
		f.tell(of, series{f.desc, f.kind, labels, out})
	}
}
