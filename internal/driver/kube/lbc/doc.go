// Package lbc says what the AWS Load Balancer Controller makes of a set of
// Ingresses: which of them share a load balancer, which listeners and rules it
// gets, in which order, and which mistakes would freeze it. It is pure.
//
// The controller's code was read at commit 225f445 of
// github.com/kubernetes-sigs/aws-load-balancer-controller (2026-08-17, after
// v3.5.0); comments cite its files and functions, and every statement here has
// a case in this package's table test with the source beside it.
//
// Controllers before v2.4.3 (2022) refuse a group.order below 1 and do not sort
// the paths of a rule; noren does not support them.
//
// Not modelled, since it does not decide who sees what: security groups,
// subnets, target groups' health, certificates, web ACLs, attributes. Members
// that contradict one another there fail in the controller's own events, which
// package kube reads.
package lbc

// Names of the controller, in annotations, classes and finalizers.
// Source: pkg/annotations/constants.go, pkg/shared_constants/finalizers.go,
// pkg/ingress/class_loader.go; for EKS Auto Mode
// https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html
const (
	Prefix            = "alb.ingress.kubernetes.io/"
	ClassAnnotation   = "kubernetes.io/ingress.class"
	DefaultClass      = "ingressclass.kubernetes.io/is-default-class"
	ControllerLBC     = "ingress.k8s.aws/alb"
	ControllerEKS     = "eks.amazonaws.com/alb"
	ImplicitFinalizer = "ingress.k8s.aws/resources"
	GroupFinalizer    = "group.ingress.k8s.aws/"

	GroupName      = Prefix + "group.name"
	GroupOrder     = Prefix + "group.order"
	ListenPorts    = Prefix + "listen-ports"
	CertificateARN = Prefix + "certificate-arn"
	SSLRedirect    = Prefix + "ssl-redirect"
	AuthType       = Prefix + "auth-type"
	JWTValidation  = Prefix + "jwt-validation"
	RegexPaths     = Prefix + "use-regex-path-match"
	HealthPath     = Prefix + "healthcheck-path"
	actions        = Prefix + "actions."
	conditions     = Prefix + "conditions."
	transforms     = Prefix + "transforms."

	// UseAnnotation as the name of a backend's port makes the controller take
	// the action from an annotation. Source: enhanced_backend_builder.go
	// magicServicePortUseAnnotation.
	UseAnnotation = "use-annotation"

	// OursPrefix begins the name of every action that noren writes.
	OursPrefix = "noren-"
)

// ActionAnnotation is the annotation that holds the action of a backend.
func ActionAnnotation(name string) string { return actions + name }

// ConditionsAnnotation is the annotation with a backend's further conditions.
func ConditionsAnnotation(name string) string { return conditions + name }

// TransformsAnnotation is the annotation with a backend's rewrites.
func TransformsAnnotation(name string) string { return transforms + name }

// Limits of the load balancer and of the controller.
// Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html,
// FixedResponseActionConfig of the ELBv2 API; pkg/ingress/group_loader.go.
const (
	MaxRules     = 100  // of a load balancer, all listeners together, default rules not counted
	MaxValues    = 5    // of all conditions of a rule together
	MaxWildcards = 5    // of all conditions of a rule together
	MaxLength    = 128  // of a value, in characters
	MaxBody      = 1024 // of a fixed response
	MinOrder     = -1000
	MaxOrder     = 1000

	maxGroupName    = 63
	maxHeaderName   = 40
	maxTargetGroups = 5
)

// A Problem is a mistake in an Ingress that the admission webhook lets pass.
type Problem struct {
	// Ingress is "namespace/name", or "" for the load balancer as a whole.
	Ingress string
	Reason  string
	// Event is the reason of the controller's event: FailedBuildModel if it
	// cannot make sense of the group, FailedDeployModel if AWS refuses what it
	// made. Either way no change of any member reaches the load balancer until
	// it is mended. "" where the group goes on working.
	Event string
}

// The reasons of the controller's events. Source: pkg/k8s/events.go.
const (
	FailedBuildModel  = "FailedBuildModel"
	FailedDeployModel = "FailedDeployModel"
	Reconciled        = "SuccessfullyReconciled"
)

// Freezes tells whether no member's changes reach the load balancer meanwhile.
func (p Problem) Freezes() bool { return p.Event != "" }

func (p Problem) String() string {
	s := p.Reason
	if p.Ingress != "" {
		s = "ingress " + p.Ingress + ": " + s
	}
	return s
}
