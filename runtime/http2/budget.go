package http2

// refill pays what the time brings.
func (c *Conn) refill(now int64) {
	n := (now - c.refilled) / refillEvery
	if n <= 0 {
		return
	}
	c.refilled += n * refillEvery
	n = min(n, maxControl) // more than fills either
	c.pay(int32(n*refillControl), int32(n*refillResets))
}

func (c *Conn) pay(control, resets int32) {
	c.control = min(c.control+control, maxControl)
	c.resets = min(c.resets+resets, maxResets)
}

// charge takes a frame that moves nothing off the budget.
func (c *Conn) charge() *ConnError {
	if c.control--; c.control < 0 {
		return errControlFlood
	}
	return nil
}

// chargeReset takes a stream that ended without an answer off the budget: one that the
// client reset, refused ones, and those that it made this side reset.
// A server does as it likes with the streams of this side.
func (c *Conn) chargeReset() *ConnError {
	if c.client {
		return c.charge()
	}
	if c.resets--; c.resets < 0 {
		return errRapidReset
	}
	return nil
}
