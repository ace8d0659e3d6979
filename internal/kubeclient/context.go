package kubeclient

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// Contexts lists the names of a kubeconfig's contexts and the current one; ""
// is the kubeconfig that kubectl would use. It asks no cluster.
func Contexts(kubeconfig string) (names []string, current string, err error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	raw, err := rules.Load()
	if err != nil {
		return nil, "", kubeconfigFault(Config{Kubeconfig: kubeconfig}, err)
	}
	return slices.Sorted(maps.Keys(raw.Contexts)), raw.CurrentContext, nil
}

// Pin makes kubeconfig absolute from dir, and an empty context the current one:
// somebody may switch it between closing and opening. Where there is no
// kubeconfig at all, as inside a cluster, both stay empty.
func Pin(dir string, kubeconfig, context *string) error {
	driver.Absolute(dir, kubeconfig)
	if *context != "" {
		return nil
	}
	_, current, err := Contexts(*kubeconfig)
	*context = current
	return err
}

func kubeconfigFault(cfg Config, err error) error {
	where := "the kubeconfig"
	if cfg.Kubeconfig != "" {
		where = "the kubeconfig " + cfg.Kubeconfig
	}
	return &fault.Fault{
		Code:    fault.Invalid,
		Summary: "kubeconfig cannot be used",
		Detail:  fmt.Sprintf("noren cannot use %s: %v.", where, err),
		Try:     []string{"kubectl config get-contexts"},
		Err:     err,
	}
}

// contextFault names the contexts there are, and the nearest to what was typed.
func contextFault(cfg Config, name string, raw clientcmdapi.Config) error {
	have := slices.Sorted(maps.Keys(raw.Contexts))
	where := cfg.Kubeconfig
	if where == "" {
		where = "the default kubeconfig ($KUBECONFIG or ~/.kube/config)"
	}
	detail := fmt.Sprintf("There is no context %q in %s.", name, where)
	f := &fault.Fault{Code: fault.Invalid, Summary: "unknown kubeconfig context"}
	switch near := fault.Nearest(name, have); {
	case near != "":
		detail += fmt.Sprintf(" Did you mean %q?", near)
		f.Try = []string{"context: " + near}
	case len(have) == 0:
		detail += " It has no contexts at all."
		f.Try = []string{"kubectl config get-contexts"}
	}
	if len(have) > 0 {
		detail += " It has: " + strings.Join(have, ", ") + "."
	}
	f.Detail = detail
	return f
}
