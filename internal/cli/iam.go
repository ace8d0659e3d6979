package cli

import (
	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/control"
)

func (a *app) iamCommand() *cobra.Command {
	var env, cluster string
	c := &cobra.Command{
		Use:   "iam",
		Short: "Print the least IAM policy that noren needs for an environment",
		Long: `Iam prints the least IAM policy with which noren can close and open the services
of an environment that are in AWS, and find what was left over, from noren.yaml
alone: it asks nobody, so that it can be asked before any right is granted. An
environment with several accounts or regions gets a policy for each.

Each statement says in its Sid what it is for: CloseAndOpen what is in noren.yaml;
FindLeftovers for leftovers and recover, which look through the whole account;
Init for init. The latter two only read, and may be left out: what may not be
looked at is named. Where noren.yaml does not say the account, ARNs have * in its
place.`,
		Example: `  noren iam --env prod > policy.json
  noren iam --env prod --cluster osaka
  aws iam put-role-policy --role-name noren --policy-name noren --policy-document "$(noren iam --env prod)"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cat, err := a.catalog()
			if err != nil {
				return err
			}
			policies, err := control.Policies(cmd.Context(), control.Options{Catalog: cat, Registry: a.Registry, Now: a.Now, Actor: actor()}, env, cluster)
			if err != nil {
				return err
			}
			a.view.Policies(policies)
			return nil
		},
	}
	c.Flags().StringVarP(&env, "env", "e", "", "the environment")
	c.Flags().StringVar(&cluster, "cluster", "", "only this cluster of it")
	_ = c.MarkFlagRequired("env")
	a.completeEnvironments(c)
	return c
}
