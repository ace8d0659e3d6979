package driver

// A SectionError is wrong with a driver's section of the environment, or with what
// it leads to, and not with the entrance or workload for which it was met.
type SectionError struct {
	Driver string
	err    error
}

// AboutSection says that an error is about a driver's section; nil stays nil.
func AboutSection(driver string, err error) error {
	if err == nil {
		return nil
	}
	return &SectionError{driver, err}
}

// Error implements error.
func (e *SectionError) Error() string { return e.err.Error() }

// Unwrap returns what is wrong.
func (e *SectionError) Unwrap() error { return e.err }
