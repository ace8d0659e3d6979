package driver

import "github.com/noren-dev/noren/internal/action"

// Grants adds the ability to write down, in the system's own words, what grants
// permissions: an IAM policy. It asks nobody.
func Grants[K any](write func(need []action.Permission) string) Part[K] {
	return func(d *Driver) { d.grants = write }
}

// Grant is the text that grants the permissions needed on a driver's system, and
// whether the driver can write one.
func (r *Registry) Grant(system string, need []action.Permission) (text string, ok bool) {
	d := r.Driver(system)
	if d == nil || d.grants == nil {
		return "", false
	}
	var mine []action.Permission
	for _, p := range need {
		if p.System == system {
			mine = append(mine, p)
		}
	}
	return d.grants(mine), true
}
