package awsclient

// ClassifyBusy is [Conn.Classify] for a write which AWS refuses, by these codes,
// while the thing is at work on something else: the same call may succeed once it is
// done. Elsewhere such codes may mean another thing, so that they are not of those
// that every call knows.
func (c *Conn) ClassifyBusy(err error, what string, codes ...string) error {
	if IsCode(err, codes...) {
		return c.unavailable(err, what, "it is at work on something else")
	}
	return c.Classify(err, what)
}
