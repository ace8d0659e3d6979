package announce

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
)

// Tell announces the services that have a component.
func (s *System) Tell(a driver.Announcement) (driver.Telling, error) {
	if !s.Has(a.Service) {
		return driver.Telling{}, nil
	}
	p := Params{Service: a.Service, Since: a.Since.UTC().Truncate(time.Second), Until: a.Until.UTC().Truncate(time.Second), Name: a.Words[a.Lang].Title + " (" + a.Service + ")"}
	if a.Until.IsZero() {
		p.Until = time.Time{}
	}
	if runes := []rune(p.Name); len(runes) > s.Longest {
		p.Name = string(runes[:s.Longest])
	}
	langs := slices.Sorted(maps.Keys(a.Words))
	slices.SortStableFunc(langs, func(x, y string) int { return rank(x, a.Lang) - rank(y, a.Lang) })
	var texts []string
	for _, lang := range langs {
		texts = append(texts, strings.TrimSpace(a.Words[lang].Title+"\n"+a.Words[lang].Detail))
	}
	p.Body = strings.Join(texts, "\n\n")
	return driver.Telling{
		Checks: []driver.Call{{Action: s.Check, Params: ThereParams{Service: a.Service}}},
		Calls:  []driver.Call{{Action: s.Action, Params: p}},
	}, nil
}

// rank puts the main language first.
func rank(lang, first string) int {
	if lang == first {
		return 0
	}
	return 1
}

// ThereParams are the parameters of the check.
type ThereParams struct {
	Service string `json:"service" jsonschema_description:"The service, as noren.yaml names it."`
}

// There is the check that a service's component is on the page.
type There struct {
	system  *System
	service string
}

// OpenThere opens the check.
func (s *System) OpenThere(p ThereParams) *There { return &There{s, p.Service} }

// Target names the component.
func (t *There) Target() string { return t.system.Target(t.service) }

// Check reads the component.
func (t *There) Check(ctx context.Context) (action.Verdict, error) {
	status, err := t.system.Component(ctx, t.service)
	if err != nil {
		return action.Verdict{}, err
	}
	return action.Verdict{OK: true, Summary: t.service + " is " + status + " on the status page"}, nil
}

// CheckComponents finds what is wrong with the components of a configuration, by
// service, without I/O: example is one that is right.
func CheckComponents(components map[string]string, form interface{ MatchString(string) bool }, example string) error {
	if len(components) == 0 {
		return errors.New("components: name the component of at least one service, such as components: {shop: " + example + "}")
	}
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(components)) {
		id := components[name]
		if !form.MatchString(id) {
			return fmt.Errorf("components: %q of %s is no id of a component, such as %s", id, name, example)
		}
		if other := seen[id]; other != "" {
			return fmt.Errorf("components: %s and %s have one component: opening one would call the other open", other, name)
		}
		seen[id] = name
	}
	return nil
}

// ServicesNamed are the services of components, by the key at which they are named.
func ServicesNamed(components map[string]string) map[string]string {
	named := map[string]string{}
	for name := range components {
		named["components."+name] = name
	}
	return named
}
