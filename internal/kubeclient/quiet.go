package kubeclient

import "k8s.io/klog/v2"

// Quiet keeps client-go from writing to standard error, where noren speaks to
// its user: what it would say there comes back as an error too. A program calls
// it once, first of all: klog's logger is one for the whole process.
func Quiet() { klog.SetLogger(klog.New(nil)) }
