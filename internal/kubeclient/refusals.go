package kubeclient

import (
	"cmp"
	"context"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
)

// reviewsAtOnce bounds the access reviews under way: they are cheap for the
// server, but there may be hundreds.
const reviewsAtOnce = 16

// Refusals asks the API server which of the permissions the present identity
// lacks. Every refusal carries the same YAML. It grants all that is needed and
// not only what is missing: applied after an earlier one, it replaces it.
func (c *Client) Refusals(ctx context.Context, need []action.Permission) ([]driver.Refusal, error) {
	need = distinct(need)
	identity, err := c.Identity(ctx)
	if err != nil {
		return nil, err
	}
	refused := make([]bool, len(need))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(reviewsAtOnce)
	for i, p := range need {
		g.Go(func() error {
			allowed, err := c.allowed(ctx, p)
			refused[i] = !allowed
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var missing []action.Permission
	for i, p := range need {
		if refused[i] {
			missing = append(missing, p)
		}
	}
	grant := Grant(roleName(need), identity, need)
	out := make([]driver.Refusal, len(missing))
	for i, p := range missing {
		out[i] = driver.Refusal{Permission: p, Identity: identity, Grant: grant}
	}
	return out, nil
}

// roleName keeps the roles of several drivers apart, which may be in one
// namespace: "noren", "noren-argocd".
func roleName(need []action.Permission) string {
	if len(need) == 0 || need[0].System == "" || need[0].System == "kube" {
		return "noren"
	}
	return "noren-" + need[0].System
}

// Identity is User, with "noren" standing in for it where the server cannot
// tell.
func (c *Client) Identity(ctx context.Context) (string, error) {
	user, err := c.User(ctx)
	return cmp.Or(user, "noren"), err
}

// User is the user name by which the API server knows noren, "" if it cannot
// tell: servers before Kubernetes 1.28 cannot.
func (c *Client) User(ctx context.Context) (string, error) {
	review, err := c.Typed.AuthenticationV1().SelfSubjectReviews().
		Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return "", nil
	}
	if err != nil {
		return "", Classify(err, "ask the API server who noren is to it")
	}
	return review.Status.UserInfo.Username, nil
}

func (c *Client) allowed(ctx context.Context, p action.Permission) (bool, error) {
	group, resource := splitResource(p.Resource)
	resource, sub, _ := strings.Cut(resource, "/")
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: p.Namespace, Verb: p.Verb, Group: group, Resource: resource, Subresource: sub, Name: ruleName(p),
		},
	}}
	answer, err := c.Typed.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, Classify(err, "ask the API server whether noren may "+p.Verb+" "+p.Resource)
	}
	return answer.Status.Allowed, nil
}

// distinct drops permissions that differ only in why they are needed.
func distinct(need []action.Permission) []action.Permission {
	seen := map[action.Permission]bool{}
	var out []action.Permission
	for _, p := range need {
		key := p
		key.Why = ""
		if !seen[key] {
			seen[key] = true
			out = append(out, p)
		}
	}
	return out
}

// Each runs f for every item, at most a few at a time, and returns the first
// error. It is how drivers read many objects in parallel, bounded.
func Each[T any](ctx context.Context, items []T, f func(context.Context, T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(reviewsAtOnce)
	for _, item := range items {
		g.Go(func() error { return f(ctx, item) })
	}
	return g.Wait()
}

// Once remembers the answer of a read for the life of a session, but not an
// error: that may be gone the next time.
type Once[T any] struct {
	mu   sync.Mutex
	done bool
	val  T
}

// Do returns the remembered answer, or asks read for it.
func (o *Once[T]) Do(read func() (T, error)) (T, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done {
		return o.val, nil
	}
	v, err := read()
	if err == nil {
		o.val, o.done = v, true
	}
	return v, err
}
