package driver_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/noren-dev/noren/internal/driver"
)

type lodger struct {
	Room *room `json:"room"`
	URL  string
}

type room struct {
	Region, Profile, Role string
	Name                  string
}

// TestBorrows: a mapping inside takes what it leaves out, and who somebody is as a
// whole or not at all.
func TestBorrows(t *testing.T) {
	t.Parallel()
	const lender = `{"region":"tokyo","profile":"theirs","role":"night","other":1}`
	for own, want := range map[string]room{
		`{"room":{"name":"a"}}`:                  {Region: "tokyo", Profile: "theirs", Role: "night", Name: "a"},
		`{"room":{"region":"osaka"}}`:            {Region: "osaka", Profile: "theirs", Role: "night"},
		`{"room":{"profile":"mine","name":"a"}}`: {Region: "tokyo", Profile: "mine", Name: "a"},
		`{"url":"x"}`:                            {},
	} {
		var got room
		connect := func(_ context.Context, c lodger, _ driver.Env) (*struct{}, error) {
			if c.Room != nil {
				got = *c.Room
			}
			return &struct{}{}, nil
		}
		r := driver.NewRegistry(driver.New("lodger", "", connect,
			driver.Borrows[*struct{}]("lender", "room", []string{"region"}, []string{"profile", "role"}),
			driver.Identifies(func(context.Context, *struct{}) (string, error) { return "x", nil })))
		configs := driver.Configs{"lodger": json.RawMessage(own), "lender": json.RawMessage(lender)}
		if err := r.CheckConfig("lodger", configs); err != nil {
			t.Errorf("%s: %v", own, err)
		}
		r.Open(driver.Env{Name: "prod"}, configs).Identities(t.Context())
		if got != want {
			t.Errorf("%s: got %+v, want %+v", own, got, want)
		}
	}
}
