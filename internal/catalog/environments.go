package catalog

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

func (f *fileReader) environments(n *node) {
	f.named(n, "environments", func(e entry) {
		f.name(e, "an environment")
		env := Environment{Name: e.key, Drivers: map[string]Section{}, At: f.position(e.spot)}
		what := "the environment " + e.key
		fields := []field{
			{"protected", func(n *node) { env.Protected = f.bool(n, "protected") }},
			{"bypass", func(n *node) { env.Bypass = f.bypass(n) }},
		}
		fields = append(fields, field{"clusters", func(n *node) {
			f.named(n, "clusters of "+e.key, func(e entry) { env.Clusters = append(env.Clusters, f.cluster(e)) })
		}})
		fields = append(fields, f.drivers(env.Drivers, what)...)
		if e.value.shape != null {
			f.object(e.value, what, nil, fields...)
		}
		f.bare(env.Drivers, e.value)
		f.c.Environments = append(f.c.Environments, env)
	})
	if n.shape == mapping && len(n.entries) == 0 {
		f.add(n.spot, "no environment", "A service is closed in an environment, and there is none.")
	}
}

// cluster reads one of several clusters of an environment.
func (f *fileReader) cluster(e entry) Cluster {
	f.name(e, "a cluster")
	c := Cluster{Name: e.key, Drivers: map[string]Section{}, At: f.position(e.spot)}
	what := "the cluster " + e.key
	if e.value.shape != null {
		f.object(e.value, what, nil, f.drivers(c.Drivers, what)...)
	}
	f.bare(c.Drivers, e.value)
	return c
}

// drivers are the fields of drivers' sections.
func (f *fileReader) drivers(into map[string]Section, what string) []field {
	var fields []field
	for _, d := range f.known.Drivers {
		fields = append(fields, field{d, func(n *node) {
			if f.is(n, mapping, d+" of "+what) {
				into[d] = newSection(f.source, n)
			}
		}})
	}
	return fields
}

// bare files sections without keys: "kube:" still says that the driver is used.
func (f *fileReader) bare(into map[string]Section, n *node) {
	for _, x := range n.entries {
		if x.value.shape == null && slices.Contains(f.known.Drivers, x.key) {
			into[x.key] = newSection(f.source, &node{spot: x.spot, shape: mapping})
		}
	}
}

func (f *fileReader) bypass(n *node) Bypass {
	var b Bypass
	f.object(n, "bypass", nil,
		field{"sources", func(n *node) {
			f.texts(n, "sources", "a source", func(at spot, s string) bool {
				p, ok := f.source4or6(at, s)
				if ok && !slices.Contains(b.Sources, p) {
					b.Sources = append(b.Sources, p)
				}
				return ok
			})
		}},
		field{"pass", func(n *node) { b.Pass = f.bool(n, "pass") }})
	return b
}

// source4or6 reads an address or a network in CIDR form.
func (f *fileReader) source4or6(at spot, s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	var why string
	var try []string
	switch {
	case err != nil:
		why, try = cidrProblem(s, err)
	case p.Bits() == 0:
		why = "it is every address there is, and everyone would pass"
	case p.Masked() != p:
		why = fmt.Sprintf("a network of /%d cannot begin at %s. Write the network, or the one address", p.Bits(), p.Addr())
		try = []string{p.Masked().String(), netip.PrefixFrom(p.Addr(), p.Addr().BitLen()).String()}
	case p.Addr().Is4In6():
		why = "write an IPv4 network as IPv4"
	default:
		return p, true
	}
	f.add(at, "malformed source address", fmt.Sprintf("%q is not a network that staff may come from: %s.", s, why), try...)
	return netip.Prefix{}, false
}

// cidrProblem words the error of netip for people who write networks.
func cidrProblem(s string, err error) (why string, try []string) {
	host, bits, slash := strings.Cut(s, "/")
	addr, addrErr := netip.ParseAddr(host)
	switch {
	case addrErr == nil && addr.Zone() != "":
		return "an address with a zone (%…) is only known on its own machine", nil
	case addrErr == nil && slash:
		return fmt.Sprintf("%q is not a prefix length from 0 to %d", bits, addr.BitLen()), nil
	case strings.ContainsFunc(host, func(c rune) bool { return c > 'f' && c <= 'z' }) && !strings.Contains(host, ":"):
		return "it is a name, and a load balancer compares addresses", nil
	case strings.Contains(host, "-"):
		return "a range is written in CIDR form, such as 203.0.113.0/24", nil
	}
	_, after, _ := strings.Cut(err.Error(), "): ")
	if addrErr != nil {
		if _, detail, ok := strings.Cut(addrErr.Error(), "): "); ok {
			after = detail
		}
	}
	if after == "" {
		after = "it is no IP address"
	}
	return after, nil
}

func (f *fileReader) readTeams(n *node) {
	f.named(n, "teams", func(e entry) {
		if strings.TrimSpace(e.key) == "" {
			f.add(e.spot, "name cannot be used", "A team needs a name.")
			return
		}
		team := Team{Name: e.key, At: f.position(e.spot)}
		if e.value.shape != null {
			f.object(e.value, "the team "+e.key, nil,
				field{"contact", func(n *node) { team.Contact, _ = f.text(n, "the contact") }})
		}
		f.c.Teams = append(f.c.Teams, team)
	})
}
