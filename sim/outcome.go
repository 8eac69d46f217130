package sim

import "slbctl/spec"

// Outcome is what became of a request, or of a connection on L4.
type Outcome uint8

// The outcomes. Failed, TimedOut, Errored, Cut and Dropped are errors: the others are answered, or
// refused, as the configuration wants it.
const (
	Served     Outcome = iota
	Failed             // no server is left: 502, on L4 a reset
	TimedOut           // no answer within the request_timeout: 504; on L4 within the established_timeout
	Errored            // the server has answered, with an error: 503
	Cut                // it was not done when the time of a drain was up, or its server stopped
	Dropped            // beyond a limit: 503, or a reset when it connects
	Denied             // by the access list: reset when it connects
	Redirected         // the client is sent elsewhere
	NotFound           // 404: rules know the domain but not the URL
	Refused            // 400: a path that could be understood in two ways

	outcomes int = iota
)

// String returns the words that messages have for it.
func (o Outcome) String() string {
	return [...]string{"served", "failed", "timed out", "answered with an error", "cut off", "dropped", "denied", "redirected", "not found", "refused"}[o]
}

// status is what the client is answered; 0 where its connection is closed instead.
func (o Outcome) status() int {
	return [...]int{200, 502, 504, spec.FaultStatus, 0, 503, 0, 302, 404, 400}[o]
}

// wrong reports whether nobody has served a request that somebody should have served.
func (o Outcome) wrong() bool {
	return o == Failed || o == TimedOut || o == Errored || o == Cut || o == Dropped
}
