package awsclient

import (
	"errors"
	"fmt"
	"net"
	"regexp"

	"github.com/noren-dev/noren/internal/fault"
)

// regionForm is how regions are called: us-east-1, us-gov-west-1, eusc-de-east-1.
var regionForm = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-\d+$`)

// regions are those to suggest where one is mistyped. One that is missing here
// works all the same. Source:
// https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html
var regions = []string{
	"af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2",
	"ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "cn-north-1", "cn-northwest-1",
	"eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1",
	"mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-gov-east-1", "us-gov-west-1", "us-west-1", "us-west-2",
}

// CheckRegion fails for what cannot be the name of a region.
func CheckRegion(name string) error {
	if regionForm.MatchString(name) {
		return nil
	}
	return fmt.Errorf("region %q is no region of AWS, such as ap-northeast-1%s", name, maybe(name))
}

func maybe(name string) string {
	if near := fault.Nearest(name, regions); near != "" && near != name {
		return "; did you mean " + near + "?"
	}
	return ""
}

// nowhere says what may be wrong with the region where a name of AWS's has no
// address: a region that does not exist looks like a network that is down.
func (c *Conn) nowhere(err error) string {
	var name *net.DNSError
	if !errors.As(err, &name) || !name.IsNotFound || c.endpoint != "" {
		return ""
	}
	if near := maybe(c.Region()); near != "" {
		return " (is the region right" + near + ")"
	}
	return " (is the name service of this machine up?)"
}
