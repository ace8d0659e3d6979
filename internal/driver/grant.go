package driver

import "github.com/noren-dev/noren/internal/action"

// A Purpose is what permissions are needed for.
type Purpose struct {
	// Name is one word of letters, as a policy may bear it: "FindLeftovers".
	Name string
	Need []action.Permission
}

// Grants adds the ability to write down, in the system's own words, what grants
// permissions: an IAM policy. It asks nobody. beyond are purposes that no entrance
// or workload speaks for, such as looking through the whole system.
func Grants[K any](write func(purposes []Purpose) string, beyond ...Purpose) Part[K] {
	return func(d *Driver) {
		d.grants = func(closing Purpose) string { return write(append([]Purpose{closing}, beyond...)) }
	}
}

// Grant is the text that grants the permissions needed on a driver's system to
// close and open, and what else is done there, and whether the driver can write
// one.
func (r *Registry) Grant(system string, need []action.Permission) (text string, ok bool) {
	d := r.Driver(system)
	if d == nil || d.grants == nil {
		return "", false
	}
	closing := Purpose{Name: "CloseAndOpen"}
	for _, p := range need {
		if p.System == system {
			closing.Need = append(closing.Need, p)
		}
	}
	return d.grants(closing), true
}
