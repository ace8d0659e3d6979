package cloudwatch

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/smithy-go/encoding/cbor"
)

// A rule is an alarm mute rule. The server takes what API_PutAlarmMuteRule says may
// be put, and nothing else: of an at that has passed, which nothing is said of, it
// takes none for a new window.
type rule struct {
	Name, Description, Expression, Duration, Timezone string
	Alarms                                            []string
	Tags                                              map[string]string

	since, until time.Time // of at
	updated      time.Time
	// reads counts how often it was read since it was put.
	reads int
}

func (r *rule) recurring() bool { return r.since.IsZero() }

func (s *Server) status(r *rule) string {
	now := s.now()
	switch begun := s.hurry && r.reads > 1; {
	case r.recurring(), now.Before(r.since) && !begun:
		return "SCHEDULED"
	case now.Before(r.until):
		return "ACTIVE"
	}
	return "EXPIRED"
}

func (r *rule) muteType() string {
	if r.recurring() {
		return "RECURRING"
	}
	return "ONE_TIME"
}

// A refusal is an error as the service says it.
type refusal struct {
	status        int
	code, message string
}

func invalid(format string, args ...any) *refusal {
	return &refusal{400, "ValidationException", fmt.Sprintf(format, args...)}
}

var (
	cronForm = regexp.MustCompile(`^cron\(\S+ \S+ \S+ \S+ \S+\)$`)
	// isoForm has hours below 24 and minutes below 60, as all of the examples do.
	isoForm = regexp.MustCompile(`^P(?:(\d{1,2})D)?(?:T(?:(1?\d|2[0-3])H)?(?:([1-5]?\d)M)?)?$`)
)

// known refuses members that the operation does not have.
func known(in cbor.Map, names ...string) *refusal {
	for name := range in {
		if !slices.Contains(names, name) {
			return &refusal{400, "SerializationException", "unknown member " + name}
		}
	}
	return nil
}

func text(in cbor.Map, name string) string {
	s, _ := in[name].(cbor.String)
	return string(s)
}

func texts(in cbor.Map, name string) []string {
	list, _ := in[name].(cbor.List)
	var all []string
	for _, v := range list {
		if s, ok := v.(cbor.String); ok {
			all = append(all, string(s))
		}
	}
	return all
}

func (s *Server) putRule(in cbor.Map) *refusal {
	if bad := known(in, "Name", "Description", "Rule", "MuteTargets", "Tags"); bad != nil {
		return bad
	}
	of, _ := in["Rule"].(cbor.Map)
	schedule, _ := of["Schedule"].(cbor.Map)
	targets, _ := in["MuteTargets"].(cbor.Map)
	r := &rule{Name: text(in, "Name"), Description: text(in, "Description"), Expression: text(schedule, "Expression"), Duration: text(schedule, "Duration"),
		Timezone: cmp.Or(text(schedule, "Timezone"), "UTC"), Alarms: texts(targets, "AlarmNames"), updated: s.now()}
	if bad := cmp.Or(s.misfit(r), s.window(r)); bad != nil {
		return bad
	}
	if s.rules[r.Name] == nil && len(s.rules) >= s.most {
		return &refusal{400, "LimitExceeded", "The maximum limit for this resource has been reached"}
	}
	if have := s.rules[r.Name]; have != nil { // tags are of those that are made
		r.Tags = have.Tags
	} else if bad := r.tag(in); bad != nil {
		return bad
	}
	s.rules[r.Name] = r
	return nil
}

// arn begins the ARN of every rule.
const arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm-mute-rule:"

var tagText = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

func (r *rule) tag(in cbor.Map) *refusal {
	tags := maps.Clone(r.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	list, _ := in["Tags"].(cbor.List)
	for _, v := range list {
		t, _ := v.(cbor.Map)
		key, value := text(t, "Key"), text(t, "Value")
		if key == "" || len(key) > 128 || len(value) > 256 || !tagText.MatchString(key+value) {
			return invalid("tag %q: %q", key, value)
		}
		tags[key] = value
	}
	if len(tags) > 50 {
		return invalid("%d tags", len(tags))
	}
	r.Tags = tags
	return nil
}

func (s *Server) tagged(in cbor.Map) (*rule, *refusal) {
	name, ours := strings.CutPrefix(text(in, "ResourceARN"), arn)
	r := s.rules[name]
	if r == nil || !ours {
		return nil, &refusal{404, "ResourceNotFoundException", text(in, "ResourceARN") + " does not exist"}
	}
	return r, nil
}

func (s *Server) tagResource(in cbor.Map) *refusal {
	r, bad := s.tagged(in)
	if bad != nil {
		return bad
	}
	return r.tag(in)
}

func (s *Server) listTags(in cbor.Map) (cbor.Map, *refusal) {
	r, bad := s.tagged(in)
	if bad != nil {
		return nil, bad
	}
	var list cbor.List
	for key, value := range r.Tags {
		list = append(list, cbor.Map{"Key": cbor.String(key), "Value": cbor.String(value)})
	}
	return cbor.Map{"Tags": list}, nil
}

func (s *Server) misfit(r *rule) *refusal {
	switch n := utf8.RuneCountInString(r.Name); {
	case n == 0, n > 255:
		return invalid("Name has %d characters", n)
	case utf8.RuneCountInString(r.Description) > 1024:
		return invalid("Description has %d characters, at most 1024 are allowed", utf8.RuneCountInString(r.Description))
	case len(r.Alarms) == 0, len(r.Alarms) > 100:
		return invalid("AlarmNames has %d members", len(r.Alarms))
	}
	for _, name := range r.Alarms {
		if !slices.ContainsFunc(s.alarms, func(a Alarm) bool { return a.Name == name }) {
			return invalid("alarm %s does not exist", name)
		}
	}
	return nil
}

func (s *Server) window(r *rule) *refusal {
	m := isoForm.FindStringSubmatch(r.Duration)
	if m == nil {
		return invalid("Duration %q is not as ISO 8601 has it", r.Duration)
	}
	var d time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute} {
		n, err := strconv.Atoi(cmp.Or(m[i+1], "0"))
		if err != nil {
			return invalid("Duration %q", r.Duration)
		}
		d += time.Duration(n) * unit
	}
	if d < time.Minute || d > 15*24*time.Hour {
		return invalid("Duration %s is not between PT1M and P15D", r.Duration)
	}
	if cronForm.MatchString(r.Expression) {
		return nil
	}
	zone, err := time.LoadLocation(r.Timezone)
	if err != nil {
		return invalid("Timezone %q", r.Timezone)
	}
	at, err := time.ParseInLocation("at(2006-01-02T15:04)", r.Expression, zone)
	if err != nil {
		return invalid("Expression %q is neither cron nor at", r.Expression)
	}
	r.since, r.until = at, at.Add(d)
	have := s.rules[r.Name]
	if have != nil {
		r.reads = have.reads
	}
	goesOn := have != nil && have.since.Equal(at) && s.now().Before(have.until)
	if at.Before(s.now()) && !goesOn {
		return invalid("Expression %s is in the past", r.Expression)
	}
	return nil
}

func (s *Server) getRule(in cbor.Map) (cbor.Map, *refusal) {
	name := text(in, "AlarmMuteRuleName")
	r := s.rules[name]
	if r == nil {
		return nil, &refusal{404, "ResourceNotFoundException", "Alarm mute rule " + name + " does not exist"}
	}
	r.reads++
	var names cbor.List
	for _, a := range r.Alarms {
		names = append(names, cbor.String(a))
	}
	out := s.summary(r)
	out["Name"], out["Description"] = cbor.String(r.Name), cbor.String(r.Description)
	out["MuteTargets"] = cbor.Map{"AlarmNames": names}
	out["Rule"] = cbor.Map{"Schedule": cbor.Map{"Expression": cbor.String(r.Expression), "Duration": cbor.String(r.Duration), "Timezone": cbor.String(r.Timezone)}}
	return out, nil
}

func (s *Server) summary(r *rule) cbor.Map {
	return cbor.Map{"AlarmMuteRuleArn": cbor.String(arn + r.Name), "Status": cbor.String(s.status(r)),
		"MuteType": cbor.String(r.muteType()), "LastUpdatedTimestamp": when(r.updated)}
}

func when(t time.Time) cbor.Value { return &cbor.Tag{ID: 1, Value: cbor.Float64(float64(t.Unix()))} }

// pageSize is fewer than AWS gives, so that tests meet a second page.
const pageSize = 5

func (s *Server) listRules(in cbor.Map) (cbor.Map, *refusal) {
	if bad := known(in, "AlarmName", "Statuses", "MaxRecords", "NextToken"); bad != nil {
		return nil, bad
	}
	var all []*rule
	for _, name := range s.names() {
		r := s.rules[name]
		statuses, alarm := texts(in, "Statuses"), text(in, "AlarmName")
		if (len(statuses) == 0 || slices.Contains(statuses, s.status(r))) && (alarm == "" || slices.Contains(r.Alarms, alarm)) {
			all = append(all, r)
		}
	}
	from, _ := strconv.Atoi(cmp.Or(text(in, "NextToken"), "0"))
	to := min(from+pageSize, len(all))
	out, list := cbor.Map{}, cbor.List{}
	for _, r := range all[min(from, to):to] {
		list = append(list, s.summary(r))
	}
	out["AlarmMuteRuleSummaries"] = list
	if to < len(all) {
		out["NextToken"] = cbor.String(strconv.Itoa(to))
	}
	return out, nil
}

func (s *Server) deleteRule(in cbor.Map) {
	delete(s.rules, text(in, "AlarmMuteRuleName"))
}

func (s *Server) names() []string {
	var names []string
	for name := range s.rules {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// muted tells whether a rule keeps an alarm quiet now.
func (s *Server) muted(alarm string) bool {
	for _, r := range s.rules {
		if s.status(r) == "ACTIVE" && slices.Contains(r.Alarms, alarm) {
			return true
		}
	}
	return false
}

// Rules are the rules as text, one each, by their names: what they mute, whether
// they do now, how long until they end, and their words.
func (s *Server) Rules() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, name := range s.names() {
		r := s.rules[name]
		lines = append(lines, fmt.Sprintf("%s %s %v %.0fm %s", name, s.status(r), r.Alarms, r.until.Sub(s.now()).Minutes(), r.Description))
	}
	return lines
}

// Meddle makes a rule as a colleague would, from now on.
func (s *Server) Meddle(name string, d time.Duration, words string, alarms ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules[name] = &rule{Name: name, Description: words, Alarms: alarms, Expression: s.now().UTC().Format("at(2006-01-02T15:04)"), Duration: "PT" + strconv.Itoa(int(d.Minutes())) + "M", Timezone: "UTC",
		since: s.now().Truncate(time.Minute), until: s.now().Truncate(time.Minute).Add(d), updated: s.now()}
}

// MeddleAgain makes a rule as a colleague would, that mutes every night.
func (s *Server) MeddleAgain(name string, alarms ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules[name] = &rule{Name: name, Alarms: alarms, Expression: "cron(0 2 * * *)", Duration: "PT1H", Timezone: "Asia/Tokyo", updated: s.now()}
}

// Limit is how many rules may be.
func (s *Server) Limit(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = n
}

// Hurry lets rules begin as soon as they have been read twice, so that nobody waits
// for the next minute.
func (s *Server) Hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hurry = true
}

// At gives the server a clock.
func (s *Server) At(clock func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = clock
}

// Muted tells whether an alarm is muted now.
func (s *Server) Muted(alarm string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.muted(alarm)
}
