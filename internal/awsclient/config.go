package awsclient

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
)

var (
	accountForm = regexp.MustCompile(`^\d{12}$`)
	roleForm    = regexp.MustCompile(`^arn:[\w-]+:iam::\d{12}:role/.+$`)
)

// Validate says what is wrong, without asking AWS. Its errors begin with the key.
func (c Config) Validate() error {
	at, err := url.Parse(c.Endpoint)
	switch {
	case c.Region != "" && CheckRegion(c.Region) != nil:
		return CheckRegion(c.Region)
	case c.Endpoint != "" && (err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https"):
		return fmt.Errorf("endpoint %q is no http or https URL, such as http://127.0.0.1:5000", c.Endpoint)
	case c.Account != "" && !accountForm.MatchString(c.Account):
		return fmt.Errorf("account %q is not the 12 digits of an AWS account; write it in quotes", c.Account)
	case c.Role != "" && !roleForm.MatchString(c.Role):
		return fmt.Errorf("role %q is not the ARN of a role, such as arn:aws:iam::123456789012:role/noren", c.Role)
	case c.ExternalID != "" && c.Role == "":
		return errors.New("external_id goes with role, and there is none")
	}
	return nil
}
