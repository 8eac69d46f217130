// Package sim replays traffic in virtual time over the decision core that the
// live balancer uses, and holds the outcome to expectations.
//
//	result, err := sim.Run(config, "checkout-peak", sim.Options{})
//	if err != nil {
//		return err
//	}
//	sim.WriteText(os.Stdout, []*sim.Result{result}, false)
//
// Only what surrounds the core is modelled:
//
//   - Connections arrive; each asks the core for a server, takes no time there and
//     ends. Without an assumed service time no latency is told, and wlc sees only
//     connections that wait for a server that hangs.
//   - With a service block a connection, or request, is work for one of its server's
//     workers, after those that came there before it. Who comes when all workers and the
//     queue are taken is refused, and tries the next server. Under the discipline ps the workers
//     share themselves equally among all that is there instead, none of which gets more than one of them,
//     and as many as workers and queue together is the most. Servers at one address share
//     their workers, a time is drawn once for a connection wherever it goes, probes take
//     none, and a client has its cookie as soon as its request has found a server, under ps when
//     it is done. A request
//     that is not done within the listener's request_timeout is an error (504), and the
//     server works on it to the end. Times may be those that a log tells of its servers, waiting there
//     included: drawn from all of them, or for traffic of the same log each request's own.
//   - At a listener of HTTP, requests arrive. A client keeps its connection until its
//     session goes on to the next one, or nothing has come on it for the listener's
//     idle_timeout, and tries again with its next request when it was not let in. Each
//     request connects to its server anew, which answers 200 and, where it sticks by a
//     cookie of its own, sets it.
//   - A log or a trace (package sim/trace) is replayed with the distances in time that its
//     requests had, and with its clients, whose sessions do not end; ports that it does not
//     tell are drawn. How its servers answered then means nothing now.
//   - Cookies are kept as browsers do: one of a name for a host, until it expires or the
//     session ends. Bandwidth is not modelled, for requests have no size.
//   - A server under fault refuse, or one that is stopped, refuses connections and
//     probes at once. Under hang it accepts and never answers, so a check of TCP finds nothing
//     wrong, one over HTTP has its timeout, and one of UDP takes silence for health unless it
//     expects an answer. Who comes meanwhile has no answer until the listener's request_timeout,
//     or established_timeout, is over (504, on L4 a reset), or the fault: then the server closes
//     what it has without a word, which a request may try on another one. Under slow, work takes
//     factor times as long, and a probe over HTTP so much longer as the mean of the work does;
//     under flap it refuses for the first half of each period. Under errors it answers the part
//     error_rate of what it is asked, evenly spread, with 503 at once, probes over HTTP too; on
//     L4 each connection asks once.
//   - The fault block of an instance is honoured in the same way, from the start, and until a change
//     ends it. Its delay and slow_body are work that takes so much longer; without a service
//     block servers do nothing else, so that latencies are told of that alone.
//   - A datagram of UDP to a server that refuses, or hangs, is lost.
//   - A connection that failed to reach one server tries the next that the core names,
//     and is an error when the core names none; so does a request that got an error, where
//     the listener retries those, or no answer in time.
//   - A change has the recorded configuration until it comes, and that of the files from
//     then on. States, turns, verdicts, quotas and cookies go on as they do live; a server that is new
//     is probed at that moment, and warms up from then on. Connections to what leaves have
//     the time of a drain and are cut off then, which is an error. Names lead to another
//     address at once, and an apply that would be refused is made all the same.
//   - A drain is that of an operator, a deployment drains servers by hand, a batch at a time, stops them
//     with what they have, and lets them back when they have started; the next batch begins
//     when the checks call this one well.
//   - Probes begin as after an apply: the first of each server at 0, before any
//     traffic, each further one an interval after the last ended. At one instant probes
//     come first, then the ends of faults, their starts, what operators do, retries, and new
//     connections.
//
// Real traffic is foretold in the same way, from where a listener stands that runs, and
// compared. Who sends it is not this package's business:
//
//	forecast, err := sim.Foretell(config, "checkout-peak", sim.LiveOptions{Pools: standing, Lead: time.Second})
//	… send forecast.Calls at their times, do what else it says, keep a sim.Reply of each …
//	result, err := forecast.Compare(replies, sim.Aftermath{Generator: generator, Pools: standing})
//
// Time is integer nanoseconds and no random number depends on floating-point
// functions that differ between machines, so a result is a function of configuration, scenario and seed, byte
// for byte, on any machine.
package sim
