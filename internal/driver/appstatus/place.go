package appstatus

import (
	"context"
	"fmt"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubestatus"
)

// A place is where the document is, and its marks with it.
type place interface {
	// String names it for people.
	String() string
	// read returns the document, nil if there is none.
	read(ctx context.Context) (*appstatus.Document, error)
	// marks returns the texts of the marks by service.
	marks(ctx context.Context) (map[string]string, error)
	// update reads both, lets edit change them, and writes what edit says, while
	// no other noren does.
	update(ctx context.Context, edit func(d *appstatus.Document, marks map[string]string) (edited, error)) error
	// writable tells whether a document could be written, as far as that can be
	// seen without writing one.
	writable(ctx context.Context) (action.Verdict, error)
	requires() []action.Permission
}

// A slow place is one from which the document takes a while to reach apps.
type slow interface {
	// settled tells whether apps get a document of which does is true.
	settled(ctx context.Context, does func(*appstatus.Document) bool) (action.Verdict, error)
	// patience is how long that may take.
	patience() time.Duration
}

func patienceOf(p place) time.Duration {
	if s, ok := p.(slow); ok {
		return s.patience()
	}
	return 0
}

// settled tells whether apps get a document of which does is true: at once, where
// the place is not slow.
func settled(ctx context.Context, p place, does func(*appstatus.Document) bool) (action.Verdict, error) {
	if s, ok := p.(slow); ok {
		return s.settled(ctx, does)
	}
	return action.Verdict{OK: true}, nil
}

// An edited document and its marks: nil where they stay as they are.
type edited struct {
	document *appstatus.Document
	marks    map[string]string
	// marksLast takes marks away after the document was written, where the two
	// cannot be written at once. Else marks come first.
	marksLast bool
}

// A configMap is a document in a cluster: it and its marks are written at once,
// guarded by the version that was read.
type configMap struct {
	client *kubeclient.Client
	ref    kubestatus.Ref
	env    string
}

func (m *configMap) String() string { return m.ref.String() }

func (m *configMap) read(ctx context.Context) (*appstatus.Document, error) {
	c, err := kubestatus.Read(ctx, m.client, m.ref)
	if err != nil {
		return nil, err
	}
	return m.parse(c)
}

func (m *configMap) parse(c kubestatus.Content) (*appstatus.Document, error) {
	if c.Document == nil {
		return nil, nil
	}
	d, err := appstatus.Parse(c.Document)
	if err != nil {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "status document cannot be read", Detail: fmt.Sprintf("%s in %s: %v.", m.ref, m.env, err), Err: err,
			Try: []string{fmt.Sprintf("kubectl -n %s get configmap %s -o yaml", m.ref.Namespace, m.ref.Name)}}
	}
	return d, nil
}

func (m *configMap) marks(ctx context.Context) (map[string]string, error) {
	c, err := kubestatus.Read(ctx, m.client, m.ref)
	return c.Marks, err
}

func (m *configMap) update(ctx context.Context, edit func(*appstatus.Document, map[string]string) (edited, error)) error {
	c, err := kubestatus.Read(ctx, m.client, m.ref)
	if err != nil {
		return err
	}
	d, err := m.parse(c)
	if err != nil {
		return err
	}
	e, err := edit(d, c.Marks)
	if err != nil || e.document == nil && e.marks == nil {
		return err
	}
	if e.document != nil {
		if c.Document, err = e.document.JSON(); err != nil {
			return tooLarge(m, m.env, err)
		}
	}
	if e.marks != nil {
		c.Marks = e.marks
	}
	return kubestatus.Write(ctx, m.client, m.ref, c)
}

// writable asks the cluster whether noren may.
func (m *configMap) writable(ctx context.Context) (action.Verdict, error) {
	if _, err := m.read(ctx); err != nil {
		return action.Verdict{}, err
	}
	refused, err := m.client.Refusals(ctx, m.requires())
	if err != nil {
		return action.Verdict{}, err
	}
	v := action.Verdict{OK: len(refused) == 0, Summary: "the status document can be written: " + m.ref.String()}
	for _, r := range refused {
		v.Summary = "the status document cannot be written"
		v.Findings = append(v.Findings, fmt.Sprintf("%s may not %s %s in %s", r.Identity, r.Permission.Verb, r.Permission.Resource, r.Permission.Namespace))
		v.Try = []string{r.Grant}
	}
	return v, nil
}

func (m *configMap) requires() []action.Permission { return m.ref.Requires("appstatus") }

func tooLarge(p place, env string, err error) error {
	return &fault.Fault{Code: fault.Invalid, Summary: "status document is too large", Detail: fmt.Sprintf("%s of %s: %v.", p, env, err), Err: err}
}
