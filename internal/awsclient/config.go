package awsclient

import (
	"errors"
	"fmt"
	"regexp"
)

var (
	accountForm = regexp.MustCompile(`^\d{12}$`)
	roleForm    = regexp.MustCompile(`^arn:[\w-]+:iam::\d{12}:role/.+$`)
)

// Validate says what is wrong, without asking AWS. Its errors begin with the key.
func (c Config) Validate() error {
	switch {
	case c.Account != "" && !accountForm.MatchString(c.Account):
		return fmt.Errorf("account %q is not the 12 digits of an AWS account; write it in quotes", c.Account)
	case c.Role != "" && !roleForm.MatchString(c.Role):
		return fmt.Errorf("role %q is not the ARN of a role, such as arn:aws:iam::123456789012:role/noren", c.Role)
	case c.ExternalID != "" && c.Role == "":
		return errors.New("external_id goes with role, and there is none")
	}
	return nil
}
