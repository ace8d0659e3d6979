package awsclient

import (
	"context"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
)

// guardAccount makes every request, but the question who this is, fail in an
// account that is not the configured one.
func (c *Conn) guardAccount() {
	if c.expect == "" {
		return
	}
	guard := middleware.InitializeMiddlewareFunc("noren.Account", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		if awsmiddleware.GetServiceID(ctx) != sts.ServiceID {
			if _, err := c.Account(ctx); err != nil {
				return middleware.InitializeOutput{}, middleware.Metadata{}, err
			}
		}
		return next.HandleInitialize(ctx, in)
	})
	c.AWS.APIOptions = append(c.AWS.APIOptions, func(s *middleware.Stack) error { return s.Initialize.Add(guard, middleware.After) })
}
