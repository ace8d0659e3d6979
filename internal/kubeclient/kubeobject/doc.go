// Package kubeobject is what the drivers of Kubernetes objects share about a
// target: how states are compared and drift is told, how a mark is kept on an
// object, who owns an object, and how its name is read and made.
package kubeobject

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/kubeclient"
)

// ManagedBy labels the objects that noren creates.
// Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
const ManagedBy = "app.kubernetes.io/managed-by"

// CreatedByUs tells whether noren created an object.
func CreatedByUs(o metav1.Object) bool {
	return o.GetLabels()[ManagedBy] == kubeclient.FieldManager
}

// Key is "namespace/name".
func Key(o metav1.Object) string { return o.GetNamespace() + "/" + o.GetName() }

// SplitKey splits "namespace/name".
func SplitKey(key string) (namespace, name string, err error) {
	namespace, name, ok := strings.Cut(key, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return "", "", errors.New("write it as namespace/name, for example shop/web")
	}
	return namespace, name, nil
}

const maxName = 63

// Name is that of an object that noren makes for one of the user's:
// "noren-<object>-<part>", shortened by a digest where it would be longer than
// a DNS label, which some tools expect.
func Name(object, part string) string {
	name := "noren-" + object + "-" + part
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	tail := "-" + hex.EncodeToString(sum[:4]) + "-" + part
	return strings.TrimRight(name[:maxName-len(tail)], "-.") + tail
}

// Show turns "ingress shop/web" into the command that shows it.
func Show(name string) string {
	kind, key, _ := strings.Cut(name, " ")
	namespace, object, _ := strings.Cut(key, "/")
	return fmt.Sprintf("kubectl -n %s get %s %s -o yaml", namespace, kind, object)
}
