package cli

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/cli/view"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
)

// closeFlags are the flags of everything that plans a closing.
type closeFlags struct {
	env       string
	forFlag   string
	until     string
	reason    string
	readOnly  bool
	paths     []string
	allow     []string
	pass      bool
	leave     bool
	loud      bool
	onFailure string
	autoOpen  bool
	unproved  bool
	flags     *pflag.FlagSet
}

func (f *closeFlags) add(c *cobra.Command) {
	flags := c.Flags()
	f.flags = flags
	flags.StringVarP(&f.env, "env", "e", "", "the environment")
	flags.StringVar(&f.forFlag, "for", "", "how long the work will take: 30m, 2h")
	flags.StringVar(&f.until, "until", "", "when it ends: 03:00, 2026-11-24 03:00, or RFC 3339")
	flags.StringVar(&f.reason, "reason", "", "why, for those who look at the status")
	flags.BoolVar(&f.readOnly, "read-only", false, "let GET, HEAD and OPTIONS pass; refuse writes")
	flags.StringArrayVar(&f.paths, "path", nil, "close only this path pattern, such as /checkout/* (repeatable)")
	flags.StringArrayVar(&f.allow, "allow", nil, "let this address or network pass as staff (repeatable)")
	flags.BoolVar(&f.pass, "pass", false, "make a pass (header or cookie) for staff")
	flags.BoolVar(&f.leave, "leave-workloads", false, "close the doors alone; let workloads go on working")
	flags.BoolVar(&f.loud, "leave-monitors", false, "let monitors ring; mute none")
	flags.StringVar(&f.onFailure, "on-failure", "", "undo or ask (default: ask on a terminal, else undo)")
	flags.BoolVar(&f.unproved, "unproved", false, "close also where noren cannot see the page, as behind a login; the end says where")
}

// addAutoOpen adds what only a closing has, and no question about one.
func (f *closeFlags) addAutoOpen(c *cobra.Command) {
	c.Flags().BoolVar(&f.autoOpen, "auto-open", false, "open at the end, if the application is ready then (see noren keep)")
}

// request turns the flags into a request, refusing what makes no sense before
// anything is read.
func (f *closeFlags) request(a *app, cat *catalog.Catalog, services []string) (control.CloseRequest, error) {
	req := control.CloseRequest{Environment: f.env, Services: services, Reason: f.reason, Pass: f.pass, Paths: f.paths,
		LeaveWorkloads: f.leave, LeaveMonitors: f.loud, AutoOpen: f.autoOpen, Unproved: f.unproved}
	var err error
	for name, value := range map[string]string{"for": f.forFlag, "until": f.until} {
		if f.flags.Changed(name) && strings.TrimSpace(value) == "" {
			return req, invalid("no time was given", "--"+name+" is empty, as from a variable that is not set. Leave it out if the end is not known.")
		}
	}
	if f.forFlag != "" || f.until != "" {
		if req.Until, err = catalog.ParseWindow(a.Now(), cat.Zone, f.forFlag, f.until); err != nil {
			return req, err
		}
	}
	switch {
	case f.readOnly && len(f.paths) > 0:
		return req, invalid("two modes at once", "--read-only and --path cannot be combined: one closes writes, the other closes paths.")
	case f.readOnly:
		req.Mode = edge.ReadOnly
	case len(f.paths) > 0:
		req.Mode = edge.Paths
	}
	for _, p := range f.paths {
		if !strings.HasPrefix(p, "/") {
			return req, invalid("malformed path", fmt.Sprintf("--path %q does not begin with a slash. Did you mean /%s?", p, p))
		}
	}
	for _, s := range f.allow {
		prefix, err := parseSource(s)
		if err != nil {
			return req, err
		}
		req.Sources = append(req.Sources, prefix)
	}
	req.OnFailure, err = a.onFailure(f.onFailure)
	return req, err
}

// run reads the catalog, chooses the environment, makes the request and hands
// it to do.
func (f *closeFlags) run(ctx context.Context, a *app, services []string, do func(*control.Control, control.CloseRequest) error) error {
	cat, err := a.catalog()
	if err != nil {
		return err
	}
	if f.env, err = a.chooseEnvironment(ctx, cat, f.env); err != nil {
		return err
	}
	req, err := f.request(a, cat, services)
	if err != nil {
		return err
	}
	return a.with(ctx, cat, func(c *control.Control) error { return do(c, req) })
}

func parseSource(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, invalid("malformed address", fmt.Sprintf("--allow %q is neither an IP address nor a network such as 203.0.113.0/24.", s))
	case p.Bits() == 0:
		return p, invalid("everyone would pass", "--allow "+s+" is every address there is: nothing would be closed to anybody.")
	}
	return p.Masked(), nil
}

func (a *app) onFailure(flag string) (plan.OnFailure, error) {
	switch {
	case flag == "" && a.interactive():
		return plan.Ask, nil
	case flag == "" || flag == string(plan.Undo):
		return plan.Undo, nil
	case flag == string(plan.Ask):
		a.waits = true
		return plan.Ask, nil
	}
	return "", invalid("unknown answer to failure", "--on-failure is "+flag+"; it can be undo or ask.")
}

func invalid(summary, detail string) error {
	return &fault.Fault{Code: fault.Invalid, Summary: summary, Detail: detail}
}

// confirmFlags say yes for a person who is not there.
type confirmFlags struct {
	yes     bool
	confirm string
}

func (f *confirmFlags) add(c *cobra.Command) {
	c.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask (a protected environment still wants --confirm)")
	c.Flags().StringVar(&f.confirm, "confirm", "", "the protected environment's name, to go ahead without being asked")
}

func (a *app) closeCommand() *cobra.Command {
	var flags closeFlags
	var confirm confirmFlags
	var stay bool
	c := &cobra.Command{
		Use:   "close [SERVICE…] --env ENVIRONMENT",
		Short: "Close services, and end only when each is proved closed",
		Example: `  noren close shop --env sandbox --for 30m
  noren close --env prod --until 03:00 --confirm prod
  noren close --env prod --until 03:00 --auto-open --stay`,
		ValidArgsFunction: a.completeServices(&flags.env),
		RunE: func(cmd *cobra.Command, services []string) error {
			return flags.run(cmd.Context(), a, services, func(c *control.Control, req control.CloseRequest) error {
				if stay && !req.AutoOpen {
					return invalid("nothing to stay for", "--stay keeps until it is open again, and is for --auto-open.")
				}
				return a.close(cmd.Context(), c, req, confirm, stay)
			})
		},
	}
	flags.add(c)
	flags.addAutoOpen(c)
	confirm.add(c)
	c.Flags().BoolVar(&stay, "stay", false, "with --auto-open: stay, and be the keeper that opens it")
	a.addWait(c)
	a.completeEnvironments(c)
	return c
}

// addWait lets a person shorten every wait of a new run.
func (a *app) addWait(c *cobra.Command) {
	c.Flags().DurationVar(&a.Patience, "wait", a.Patience, "the longest to wait for anything (default: minutes, by what it is)")
}

func (a *app) planCommand() *cobra.Command {
	c := &cobra.Command{Use: "plan", Short: "Show what closing, extending or opening would change, as a diff; change nothing"}
	c.AddCommand(a.planCloseCommand(), a.planExtendCommand(), a.planOpenCommand())
	return c
}

func (a *app) planCloseCommand() *cobra.Command {
	var flags closeFlags
	var looking planFlags
	c := &cobra.Command{
		Use:               "close [SERVICE…] --env ENVIRONMENT",
		Short:             "Show what closing would change",
		ValidArgsFunction: a.completeServices(&flags.env),
		RunE: func(cmd *cobra.Command, services []string) error {
			return flags.run(cmd.Context(), a, services, func(c *control.Control, req control.CloseRequest) error {
				closing, err := c.PlanClose(cmd.Context(), req)
				if err != nil {
					return err
				}
				looking.view(a).Closing(closing, a.Now())
				return looking.exit(closing.Plan)
			})
		},
	}
	flags.add(c)
	flags.addAutoOpen(c)
	looking.add(c)
	a.completeEnvironments(c)
	return c
}

// planFlags say how a plan is looked at.
type planFlags struct{ diffs, detailed bool }

func (f *planFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&f.diffs, "diffs", false, "show the diff of every change, however many there are")
	c.Flags().BoolVar(&f.detailed, "detailed-exit-code", false, "exit 3 if anything would change")
}

func (f *planFlags) view(a *app) view.View {
	if f.diffs {
		return a.view.Full()
	}
	return a.view
}

func (f *planFlags) exit(p *plan.Plan) error {
	if changes, effects := p.Count(); f.detailed && changes+effects > 0 {
		return exitCode(fault.ExitHasChanges)
	}
	return nil
}

func (a *app) whoSeesCommand() *cobra.Command {
	var flags closeFlags
	var from, method string
	var headers []string
	c := &cobra.Command{
		Use:     "who-sees URL --env ENVIRONMENT",
		Short:   "Answer what a request is shown now, and when closed, and by which rule",
		Example: `  noren who-sees https://shop.example.com/cart --env prod --from 203.0.113.7`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := parseRequest(args[0], method, from, headers)
			if err != nil {
				return err
			}
			return flags.run(cmd.Context(), a, nil, func(c *control.Control, req control.CloseRequest) error {
				sights, err := c.WhoSees(cmd.Context(), r, req)
				if err == nil {
					a.view.Sights(method+" "+args[0]+origin(from), sights)
				}
				return err
			})
		},
	}
	flags.add(c)
	c.Flags().StringVar(&from, "from", "", "the visitor's address")
	c.Flags().StringVarP(&method, "method", "X", "GET", "the request's method")
	c.Flags().StringArrayVarP(&headers, "header", "H", nil, "a header of the request, 'Name: value' (repeatable)")
	a.completeEnvironments(c)
	return c
}

func origin(from string) string {
	if from == "" {
		return ""
	}
	return " from " + from
}
