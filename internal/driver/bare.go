package driver

// Bare opens a typed change as a session would, but without the retries and
// timeouts of a session around it. It is for the contract suite, which must
// see what the driver itself does when an answer is lost.
func Bare[F any](t Typed[F]) *Instance { return instanceOf(t) }
