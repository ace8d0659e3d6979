package edge

import "net/netip"

// A Mode is how much of an entrance is closed.
type Mode string

// The modes: everything; only requests that write (all but GET, HEAD and
// OPTIONS); only the paths named.
const (
	Closed   Mode = "closed"
	ReadOnly Mode = "read-only"
	Paths    Mode = "paths"
)

// writeMethods are refused in ReadOnly mode. A door that can only list methods
// cannot say "all but GET": these are the methods with side effects of
// https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1 and RFC 5789.
var writeMethods = []string{"POST", "PUT", "PATCH", "DELETE"}

// A Closing is what a person asks of an entrance, in no door's own terms.
type Closing struct {
	// Mark is the token in the page by which a probe knows it as ours.
	Mark string `json:"mark"`
	// Hosts to close. Empty closes requests to any host, which a door that
	// others share must refuse.
	Hosts []string `json:"hosts,omitempty"`
	Mode  Mode     `json:"mode"`
	// Paths are closed in mode Paths; KeepOpen stay open in every mode.
	// Patterns as in a Path condition, for example "/.well-known/acme-challenge/*".
	Paths    []string `json:"paths,omitempty"`
	KeepOpen []string `json:"keepOpen,omitempty"`
	Bypass   Bypass   `json:"bypass"`
	Page     Response `json:"page"`
}

// A Bypass lets staff through while customers see the page. Pass is a secret
// shown to the operator once; it travels in PassHeader or PassCookie.
type Bypass struct {
	Sources []netip.Prefix `json:"sources,omitempty"`
	Pass    string         `json:"pass,omitempty"`
}

// insides are the networks in which proxies and load balancers stand: private
// (RFC 1918, RFC 4193), loopback, link-local, and shared (RFC 6598).
var insides = [...]netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fe80::/10"),
}

// Inside are those of the sources that may be the address of a proxy in front of
// the door. A door that goes by its peer's address lets everyone pass behind
// such a proxy.
func (b Bypass) Inside() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range b.Sources {
		for _, in := range insides {
			if s.Overlaps(in) {
				out = append(out, s)
				break
			}
		}
	}
	return out
}

// IsZero tells whether nobody may pass.
func (b Bypass) IsZero() bool { return len(b.Sources) == 0 && b.Pass == "" }

// Curtain returns the rules to put in front of an entrance's own, in this
// order: the probe sees the page, staff and kept-open paths go on to the rules
// behind, everyone else sees the page.
func Curtain(c Closing) []Rule {
	page := Action{Kind: Respond, Response: &c.Page}
	pass := Action{Kind: Pass}
	host := c.hostCondition()
	rule := func(name string, a Action, more ...Condition) Rule {
		return Rule{Name: "noren: " + name, Conditions: append(append([]Condition{}, host...), more...), Action: a}
	}
	rules := []Rule{rule("probe", page, Condition{Field: Header, Name: ProbeHeader, Values: []string{"*"}})}
	if len(c.Bypass.Sources) > 0 {
		rules = append(rules, rule(ByAddress, pass, Condition{Field: Source, Values: prefixes(c.Bypass.Sources)}))
	}
	if p := c.Bypass.Pass; p != "" {
		rules = append(rules,
			rule("staff by pass", pass, Condition{Field: Header, Name: PassHeader, Values: []string{p}}),
			rule("staff by cookie", pass, Condition{Field: Header, Name: "Cookie", Values: []string{"*" + PassCookie + "=" + p + "*"}}))
	}
	if len(c.KeepOpen) > 0 {
		rules = append(rules, rule("kept open", pass, Condition{Field: Path, Values: c.KeepOpen}))
	}
	switch c.Mode {
	case ReadOnly:
		return append(rules, rule("closed to writes", page, Condition{Field: Method, Values: writeMethods}))
	case Paths:
		return append(rules, rule("closed paths", page, Condition{Field: Path, Values: c.Paths}))
	default:
		return append(rules, rule("closed", page))
	}
}

func (c Closing) hostCondition() []Condition {
	if len(c.Hosts) == 0 {
		return nil
	}
	return []Condition{{Field: Host, Values: c.Hosts}}
}

func prefixes(ps []netip.Prefix) []string {
	out := make([]string, len(ps))
	for i, p := range ps {
		out[i] = p.String()
	}
	return out
}
