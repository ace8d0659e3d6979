package appstatus

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/awsclient/awsstatus"
	"github.com/noren-dev/noren/internal/fault"
)

// How long a closing waits until apps are seen to get the document: CloudFront
// needs some minutes at most, and another cache as long as it may keep it.
const (
	frontPatience = 5 * time.Minute
	cachePatience = 2 * time.Minute
)

// A bucket is a document in S3, with marks beside it, perhaps behind CloudFront.
type bucket struct {
	store *awsstatus.Store
	env   string
	// url is where apps read the document, "" if nobody said.
	url   string
	front bool
	http  *http.Client
	fresh func() *appstatus.Document

	mu sync.Mutex // held from reading to writing: the steps of one process take turns
}

func (b *bucket) String() string { return b.store.String() }

func (b *bucket) read(ctx context.Context) (*appstatus.Document, error) {
	o, err := b.store.Document(ctx)
	if err != nil {
		return nil, err
	}
	return b.parse(o)
}

func (b *bucket) parse(o awsstatus.Object) (*appstatus.Document, error) {
	if o.Data == nil {
		return nil, nil
	}
	d, err := appstatus.Parse(o.Data)
	if err != nil {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "status document cannot be read", Detail: fmt.Sprintf("%s of %s: %v.", b, b.env, err), Err: err,
			Try: []string{"aws s3 mv " + b.String() + " " + b.String() + ".old", "noren appstatus publish --env " + b.env}}
	}
	return d, nil
}

func (b *bucket) marks(ctx context.Context) (map[string]string, error) {
	marks, _, err := b.store.Marks(ctx)
	return marks, err
}

// update writes the marks before the document or, where they go, after it, as for
// a file. CloudFront is told between the two, and also where the document is
// written already: whoever wrote it may have died before.
func (b *bucket) update(ctx context.Context, edit func(*appstatus.Document, map[string]string) (edited, error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	document, err := b.store.Document(ctx)
	if err != nil {
		return err
	}
	d, err := b.parse(document)
	if err != nil {
		return err
	}
	marks, beside, err := b.store.Marks(ctx)
	if err != nil {
		return err
	}
	e, err := edit(d, marks)
	if err != nil {
		return err
	}
	if e.marks != nil && !e.marksLast {
		if beside, err = b.store.WriteMarks(ctx, beside, e.marks); err != nil {
			return err
		}
	}
	if e.document != nil {
		raw, err := e.document.JSON()
		if err != nil {
			return tooLarge(b, b.env, err)
		}
		if document, err = b.store.WriteDocument(ctx, document, raw); err != nil {
			return err
		}
	}
	if _, err := b.store.Invalidate(ctx, document); err != nil {
		return err
	}
	if e.marks != nil && e.marksLast {
		_, err = b.store.WriteMarks(ctx, beside, e.marks)
	}
	return err
}

func (b *bucket) requires() []action.Permission { return b.store.Requires() }

// patience is how long to wait until apps are seen to get the document.
func (b *bucket) patience() time.Duration {
	switch {
	case b.front:
		return frontPatience
	case b.url != "":
		return cachePatience
	}
	return 0
}

// settled asks, as an app would, for the document, and tells whether it says what
// it should: what does says.
func (b *bucket) settled(ctx context.Context, does func(*appstatus.Document) bool) (action.Verdict, error) {
	written, err := b.store.Document(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	told, err := b.store.Invalidate(ctx, written)
	if err != nil {
		return action.Verdict{}, err
	}
	if b.url == "" {
		return b.unseen(told), nil
	}
	v := action.Verdict{Summary: "it is not proved yet that apps hear of it: " + b.String() + " is written, and " + b.url + " does not show it"}
	got, err := b.visit(ctx, b.url)
	switch {
	case err != nil:
		v.Findings = []string{err.Error()}
	case got.document == nil:
		v.Findings = []string{got.words}
	case does(got.document):
		if told.Done {
			return action.Verdict{OK: true, Summary: "apps hear of it: " + b.url + " shows it"}, nil
		}
		v.Summary = "it is not proved yet that all apps hear of it: " + b.url + " shows it here, and other places of CloudFront may not yet"
	default:
		v.Findings = []string{"it shows the document written at " + got.document.Updated.Format("15:04:05 MST")}
	}
	switch {
	case !b.front:
	case told.Done:
		v.Findings = append(v.Findings, "CloudFront says that invalidation "+told.ID+" is completed: is this address served by that distribution, from this object, and by no cache in front of it?")
	default:
		v.Findings = append(v.Findings, "invalidation "+told.ID+" of CloudFront is in progress")
	}
	v.Try = []string{"curl -i " + b.url, "noren appstatus show --env " + b.env + "   # what is written"}
	return v, nil
}

// unseen is all that can be said where nobody knows what apps get.
func (b *bucket) unseen(told awsstatus.Invalidation) action.Verdict {
	const unasked = "whether apps get it was not asked, since appstatus has no url"
	switch {
	case !b.front:
		return action.Verdict{OK: true, Summary: b.String() + " is written; " + unasked}
	case told.Done:
		return action.Verdict{OK: true, Summary: b.String() + " is written, and CloudFront has completed invalidation " + told.ID + "; " + unasked}
	}
	return action.Verdict{Summary: b.String() + " is written, and invalidation " + told.ID + " of CloudFront is in progress"}
}

// writable asks whether noren may write and tell CloudFront, and whether the
// address of apps leads to the document, and not to its marks.
func (b *bucket) writable(ctx context.Context) (action.Verdict, error) {
	fresh, err := b.fresh().JSON()
	if err != nil {
		return action.Verdict{}, tooLarge(b, b.env, err)
	}
	document, err := b.store.Document(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	if _, err := b.parse(document); err != nil {
		return action.Verdict{}, err
	}
	if err := b.store.MayWrite(ctx, fresh); err != nil {
		return action.Verdict{}, err
	}
	if err := b.store.MayInvalidate(ctx); err != nil {
		return action.Verdict{}, err
	}
	v := action.Verdict{OK: true, Summary: "the status document can be written: " + b.String()}
	if b.url == "" {
		v.Summary += "; whether apps get it is not asked, since appstatus has no url"
		return v, nil
	}
	return b.leads(ctx, v, document)
}

// leads tells whether the address of apps leads to the document.
func (b *bucket) leads(ctx context.Context, v action.Verdict, document awsstatus.Object) (action.Verdict, error) {
	no := func(summary, finding string, try ...string) (action.Verdict, error) {
		return action.Verdict{Summary: summary, Findings: []string{finding}, Try: append(try, "curl -i "+b.url)}, nil
	}
	got, err := b.visit(ctx, b.url)
	switch {
	case err != nil:
		return no("the status document cannot be asked for from here, so that it could not be proved that apps hear of the closing", err.Error())
	case got.document != nil:
	case document.Data == nil && (got.status == http.StatusNotFound || got.status == http.StatusForbidden):
		v.Summary += "; apps get none yet"
		return v, nil
	case got.status == http.StatusForbidden && b.front:
		return no("apps do not get the status document", got.words+": let the distribution read it, by this statement in the bucket's policy:", b.store.LetsCloudFrontRead())
	default:
		return no("apps do not get the status document", got.words+": does this address lead to "+b.String()+"?")
	}
	marks := b.url[:strings.LastIndex(b.url, "/")+1] + path.Base(b.store.MarksKey())
	if _, object, err := b.store.Marks(ctx); err != nil {
		return action.Verdict{}, err
	} else if seen, err := b.visit(ctx, marks); err == nil && object.Data != nil && bytes.Equal(seen.body, object.Data) {
		return no("everybody can read who closed what", "the marks of closings are shown at "+marks+": let the distribution read nothing but the document", b.store.LetsCloudFrontRead())
	}
	return v, nil
}
