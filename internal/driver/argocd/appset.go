package argocd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
)

const setResource = "applicationsets." + group

var applicationSets = schema.GroupVersionResource{Group: group, Version: version, Resource: "applicationsets"}

// SetRef names one Application of an ApplicationSet.
type SetRef struct {
	// Namespace is Argo CD's own by default. A set makes its Applications there.
	Namespace   string `json:"namespace,omitempty"`
	Name        string `json:"name"`
	Application string `json:"application"`
}

// Validate checks the names without I/O.
func (r SetRef) Validate() error {
	if r.Name == "" || r.Application == "" {
		return errors.New("name, application: the names of the ApplicationSet and of its Application are needed")
	}
	return nil
}

// An applicationSet is what noren reads of an Argo CD ApplicationSet.
type applicationSet struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		// Ignore is nil where absent, which is not the same as empty.
		Ignore     []json.RawMessage `json:"ignoreApplicationDifferences"`
		SyncPolicy struct {
			ApplicationsSync string `json:"applicationsSync"`
		} `json:"syncPolicy"`
		Strategy struct {
			Type string `json:"type"`
		} `json:"strategy"`
	} `json:"spec"`
}

// An ignored is one entry of spec.ignoreApplicationDifferences. Without a name
// it is about every Application of the set.
type ignored struct {
	Name              string   `json:"name"`
	JSONPointers      []string `json:"jsonPointers"`
	JQPathExpressions []string `json:"jqPathExpressions"`
}

func readIgnored(raw json.RawMessage) ignored {
	var i ignored
	_ = json.Unmarshal(raw, &i) // the CRD's schema holds it to these types
	return i
}

// A setTarget is one Application of an ApplicationSet.
type setTarget struct {
	conn *conn
	ref  SetRef
}

func (c *conn) set(ref SetRef) setTarget {
	ref.Namespace = Ref{Namespace: ref.Namespace}.in(c.namespace).Namespace
	return setTarget{c, ref}
}

// Target names the ApplicationSet, and the Application that it is about.
func (s setTarget) Target() string {
	return fmt.Sprintf("argocd:%s/%s/applicationset/%s/%s", s.conn.env, s.ref.Namespace, s.ref.Name, s.ref.Application)
}

func (s setTarget) what() string { return "ApplicationSet " + s.ref.Namespace + "/" + s.ref.Name }

func (s setTarget) api() dynamic.ResourceInterface {
	return s.conn.client.Dynamic.Resource(applicationSets).Namespace(s.ref.Namespace)
}

// get reads the ApplicationSet, nil if it does not exist.
func (s setTarget) get(ctx context.Context) (*applicationSet, error) {
	u, err := s.api().Get(ctx, s.ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, kubeclient.Classify(err, "read "+s.what())
	}
	return readSet(u)
}

func readSet(u *unstructured.Unstructured) (*applicationSet, error) {
	raw, err := u.MarshalJSON()
	if err != nil {
		return nil, err
	}
	set := &applicationSet{}
	if err := json.Unmarshal(raw, set); err != nil {
		return nil, fmt.Errorf("the ApplicationSet %s/%s is not as Argo CD 2 and 3 write it: %w", u.GetNamespace(), u.GetName(), err)
	}
	return set, nil
}

// write sends the patch. Strict validation makes the API server refuse fields
// that the CRD does not know.
func (s setTarget) write(ctx context.Context, patch *kubeclient.Patch) error {
	body, err := patch.JSON()
	if err != nil {
		return err
	}
	opts := metav1.PatchOptions{FieldManager: kubeclient.FieldManager, FieldValidation: metav1.FieldValidationStrict}
	_, err = s.api().Patch(ctx, s.ref.Name, types.JSONPatchType, body, opts)
	return kubeclient.Classify(err, "patch "+s.what())
}

func (s setTarget) missing() *fault.Fault {
	return &fault.Fault{Code: fault.NotFound, Summary: "ApplicationSet does not exist",
		Detail: fmt.Sprintf("There is no Argo CD ApplicationSet %s in namespace %s of environment %s.", s.ref.Name, s.ref.Namespace, s.conn.env),
		Try:    []string{"kubectl get applicationsets.argoproj.io --all-namespaces"}}
}

// markKey is the annotation of this target's mark: one ApplicationSet carries
// one for each of its Applications.
func (s setTarget) markKey() string {
	sum := sha256.Sum256([]byte(s.ref.Application))
	return markAnnotation + "-" + hex.EncodeToString(sum[:5])
}

// policyPointers are what the set is to leave alone: the sync policy, as Argo
// CD's documentation has it, and noren's mark, which it would take away with
// every annotation that its template does not have.
// Source: docs/operator-manual/applicationset/Controlling-Resource-Modification.md,
// createOrUpdateInCluster in applicationset/controllers/applicationset_controller.go.
func policyPointers() []string { return []string{policyPath, markPointer()} }

// leaves tells whether the set leaves a field of the Application alone.
func (a *applicationSet) leaves(app, pointer, jq string) bool {
	return slices.ContainsFunc(a.Spec.Ignore, func(raw json.RawMessage) bool {
		i := readIgnored(raw)
		return (i.Name == "" || i.Name == app) && (covers(i.JSONPointers, pointer) || slices.Contains(i.JQPathExpressions, jq))
	})
}

// holdSet keeps an ApplicationSet from writing its template's sync policy over
// that of an Application. Where it does not do so anyway, that is said.
func (c *conn) holdSet(ctx context.Context, ref SetRef) (*driver.Hold, error) {
	s := c.set(ref)
	set, err := s.get(ctx)
	if err == nil && set == nil {
		err = s.missing()
	}
	if err != nil {
		return nil, err
	}
	h := &driver.Hold{Target: s.Target(), Name: s.what()}
	say := func(warn bool, format string, args ...any) {
		h.Notes = append(h.Notes, driver.Note{Warn: warn, Text: fmt.Sprintf(format, args...)})
	}
	if set.Spec.Strategy.Type == "RollingSync" {
		say(true, "%s rolls its Applications out itself (strategy RollingSync), and may sync %s while it is closed: let no new revision come meanwhile.", s.what(), s.ref.Application)
	}
	policy := set.Spec.SyncPolicy.ApplicationsSync
	switch {
	case policy == "create-only", policy == "create-delete":
		say(false, "%s does not write to Application %s again (applicationsSync: %s): it needs no pause. A controller that was started with a --policy of its own does not heed that.", s.what(), s.ref.Application, policy)
	case set.leaves(s.ref.Application, automatedPath, ".spec.syncPolicy.automated"), set.leaves(s.ref.Application, policyPath, ".spec.syncPolicy"):
		say(false, "%s leaves the sync policy of Application %s alone (ignoreApplicationDifferences): it needs no pause.", s.what(), s.ref.Application)
		if !set.leaves(s.ref.Application, markPointer(), "") {
			say(false, "%s takes noren's mark off Application %s: should noren's state be lost, this pause could not be found. The JSON pointer %s beside the other keeps it.", s.what(), s.ref.Application, markPointer())
		}
	default:
		h.Pauses = []driver.Call{{Action: "argocd/appset.pause", Params: s.ref}}
		h.Next = c.keeper(set.Metadata, kindSet, Ref{Namespace: s.ref.Namespace, Name: s.ref.Name}, ignorePath)
		h.Notes = append(h.Notes, others(set.Metadata, s.what(), h.Next)...)
	}
	return h, nil
}
