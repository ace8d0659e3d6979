// Package kubecopy serves copies of clusters on this machine, for rehearsals:
// what is read is copied from the real API server when it is first asked for,
// and what is written stays in memory. To the drivers it is one more API server,
// at the end of a kubeconfig: they run unchanged.
//
// The real API server is only read. Whatever is no GET is refused before it is
// sent, by the transport; see [ReadOnly].
//
// What it does as an API server does: GET and LIST with selectors, POST, PUT,
// DELETE with preconditions, JSON Patch and merge patch, conflicts of
// resourceVersion and uid, generations, strict field validation of the kinds
// that client-go knows, discovery and schemas (the real server's). What it does
// not: admission, permissions, validation by CRD schema, defaults, watches,
// server-side apply, finalizers. A cluster may refuse what its copy takes.
//
// Nobody else works on a copy. Stand-ins do what controllers do when all is
// well, so that a run finds what it waits for; standin.go lists them.
package kubecopy
