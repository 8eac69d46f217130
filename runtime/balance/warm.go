package balance

import "time"

// Warm is the warmth of a server that has its whole weight: sixteen sixteenths.
const Warm = 16

// Warmth returns how many sixteenths of its weight a server has at some age, the
// time since it became Normal, and how long it keeps that: the table is to be
// rebuilt then. next is 0 once it is warm. Weight grows linearly: one sixteenth at
// first, one more every fifteenth of SlowStart, all of it when SlowStart is over.
func (p *Pool) Warmth(age time.Duration) (step int, next time.Duration) {
	const steps = Warm - 1
	age = max(age, 0)
	if age >= p.SlowStart {
		return Warm, 0
	}
	passed := age * steps / p.SlowStart
	// The first whole nanosecond at which one more step has passed.
	at := ((passed+1)*p.SlowStart + steps - 1) / steps
	return 1 + int(passed), at - age
}
