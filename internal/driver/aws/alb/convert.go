package alb

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
)

// placed reads a rule of the API. ok is false for the default rule.
func placed(r types.Rule) (p albrules.Placed, ok bool) {
	p = albrules.Placed{ARN: aws.ToString(r.RuleArn), Rule: albrules.Rule{Actions: actions(r.Actions)}}
	for _, c := range r.Conditions {
		p.Conditions = append(p.Conditions, condition(c))
	}
	for _, t := range r.Transforms {
		p.Transforms = append(p.Transforms, transform(t))
	}
	p.Rule = p.Canonical()
	priority, err := strconv.Atoi(aws.ToString(r.Priority))
	p.Priority = priority
	return p, err == nil && !aws.ToBool(r.IsDefault)
}

// condition reads a condition. The API returns the flat Values and the Config
// of the field; a rule that was made by an old tool may have the former alone.
func condition(c types.RuleCondition) albrules.Condition {
	out := albrules.Condition{Field: aws.ToString(c.Field), Values: c.Values, Regex: c.RegexValues}
	switch {
	case c.HostHeaderConfig != nil:
		out.Values, out.Regex = c.HostHeaderConfig.Values, c.HostHeaderConfig.RegexValues
	case c.PathPatternConfig != nil:
		out.Values, out.Regex = c.PathPatternConfig.Values, c.PathPatternConfig.RegexValues
	case c.HttpHeaderConfig != nil:
		out.Name = aws.ToString(c.HttpHeaderConfig.HttpHeaderName)
		out.Values, out.Regex = c.HttpHeaderConfig.Values, c.HttpHeaderConfig.RegexValues
	case c.HttpRequestMethodConfig != nil:
		out.Values = c.HttpRequestMethodConfig.Values
	case c.SourceIpConfig != nil:
		out.Values = c.SourceIpConfig.Values
	case c.QueryStringConfig != nil:
		for _, q := range c.QueryStringConfig.Values {
			out.Query = append(out.Query, albrules.QueryValue{Key: aws.ToString(q.Key), Value: aws.ToString(q.Value)})
		}
	}
	return out
}

// conditionFor writes a condition in the one form that the API takes for all.
func conditionFor(c albrules.Condition) types.RuleCondition {
	out := types.RuleCondition{Field: aws.String(c.Field)}
	switch c.Field {
	case albrules.FieldHost:
		out.HostHeaderConfig = &types.HostHeaderConditionConfig{Values: c.Values, RegexValues: c.Regex}
	case albrules.FieldPath:
		out.PathPatternConfig = &types.PathPatternConditionConfig{Values: c.Values, RegexValues: c.Regex}
	case albrules.FieldHeader:
		out.HttpHeaderConfig = &types.HttpHeaderConditionConfig{HttpHeaderName: aws.String(c.Name), Values: c.Values, RegexValues: c.Regex}
	case albrules.FieldMethod:
		out.HttpRequestMethodConfig = &types.HttpRequestMethodConditionConfig{Values: c.Values}
	case albrules.FieldSource:
		out.SourceIpConfig = &types.SourceIpConditionConfig{Values: c.Values}
	case albrules.FieldQuery:
		config := &types.QueryStringConditionConfig{}
		for _, q := range c.Query {
			value := types.QueryStringKeyValuePair{Value: aws.String(q.Value)}
			if q.Key != "" {
				value.Key = aws.String(q.Key)
			}
			config.Values = append(config.Values, value)
		}
		out.QueryStringConfig = config
	}
	return out
}

// actions reads actions, in their order.
func actions(list []types.Action) []albrules.Action {
	var out []albrules.Action
	for _, a := range inOrder(list) {
		one := albrules.Action{Type: string(a.Type)}
		switch {
		case a.Type == types.ActionTypeEnumForward:
			one.Forward = forward(a)
		case a.RedirectConfig != nil:
			r := a.RedirectConfig
			one.Redirect = &albrules.Redirect{Protocol: aws.ToString(r.Protocol), Host: aws.ToString(r.Host), Port: aws.ToString(r.Port),
				Path: aws.ToString(r.Path), Query: aws.ToString(r.Query), Status: string(r.StatusCode)}
		case a.FixedResponseConfig != nil:
			f := a.FixedResponseConfig
			one.Fixed = &albrules.Fixed{Status: aws.ToString(f.StatusCode), Type: aws.ToString(f.ContentType), Body: aws.ToString(f.MessageBody)}
		case a.AuthenticateCognitoConfig != nil:
			c := a.AuthenticateCognitoConfig
			one.Cognito = &albrules.Cognito{Pool: aws.ToString(c.UserPoolArn), Client: aws.ToString(c.UserPoolClientId), Domain: aws.ToString(c.UserPoolDomain),
				Extra: c.AuthenticationRequestExtraParams, Unauthenticated: string(c.OnUnauthenticatedRequest), Scope: aws.ToString(c.Scope),
				Cookie: aws.ToString(c.SessionCookieName), Timeout: aws.ToInt64(c.SessionTimeout)}
		case a.JwtValidationConfig != nil:
			one.JWT = jwt(a.JwtValidationConfig)
		case a.AuthenticateOidcConfig != nil:
			one.OIDC = cmp.Or(aws.ToString(a.AuthenticateOidcConfig.Issuer), "an identity provider")
		}
		out = append(out, one)
	}
	return albrules.Rule{Actions: out}.Canonical().Actions
}

func inOrder(list []types.Action) []types.Action {
	return slices.SortedStableFunc(slices.Values(list), func(a, b types.Action) int { return cmp.Compare(aws.ToInt32(a.Order), aws.ToInt32(b.Order)) })
}

func forward(a types.Action) *albrules.Forward {
	out := &albrules.Forward{}
	if a.ForwardConfig == nil {
		out.Groups = []albrules.Group{{ARN: aws.ToString(a.TargetGroupArn), Weight: 1}}
		return out
	}
	for _, g := range a.ForwardConfig.TargetGroups {
		weight := int32(1) // what AWS takes where none is given
		if g.Weight != nil {
			weight = *g.Weight
		}
		out.Groups = append(out.Groups, albrules.Group{ARN: aws.ToString(g.TargetGroupArn), Weight: weight})
	}
	if s := a.ForwardConfig.TargetGroupStickinessConfig; s != nil && aws.ToBool(s.Enabled) {
		out.Sticky = aws.ToInt32(s.DurationSeconds)
	}
	return out
}

func jwt(c *types.JwtValidationActionConfig) *albrules.JWT {
	out := &albrules.JWT{Issuer: aws.ToString(c.Issuer), Keys: aws.ToString(c.JwksEndpoint)}
	for _, claim := range c.AdditionalClaims {
		out.Claims = append(out.Claims, albrules.Claim{Name: aws.ToString(claim.Name), Format: string(claim.Format), Values: claim.Values})
	}
	return out
}

// actionsFor writes actions that can be created: see albrules.Copyable.
func actionsFor(list []albrules.Action) []types.Action {
	var out []types.Action
	for i, a := range list {
		one := types.Action{Type: types.ActionTypeEnum(a.Type), Order: aws.Int32(int32(i + 1))}
		switch {
		case a.Forward != nil:
			one.ForwardConfig = forwardFor(a.Forward)
		case a.Redirect != nil:
			r := a.Redirect
			one.RedirectConfig = &types.RedirectActionConfig{Protocol: aws.String(r.Protocol), Host: aws.String(r.Host), Port: aws.String(r.Port),
				Path: aws.String(r.Path), Query: aws.String(r.Query), StatusCode: types.RedirectActionStatusCodeEnum(r.Status)}
		case a.Fixed != nil:
			one.FixedResponseConfig = &types.FixedResponseActionConfig{StatusCode: aws.String(a.Fixed.Status)}
			if a.Fixed.Type != "" {
				one.FixedResponseConfig.ContentType = aws.String(a.Fixed.Type)
			}
			if a.Fixed.Body != "" {
				one.FixedResponseConfig.MessageBody = aws.String(a.Fixed.Body)
			}
		case a.Cognito != nil:
			c := a.Cognito
			one.AuthenticateCognitoConfig = &types.AuthenticateCognitoActionConfig{UserPoolArn: aws.String(c.Pool), UserPoolClientId: aws.String(c.Client), UserPoolDomain: aws.String(c.Domain),
				AuthenticationRequestExtraParams: c.Extra, OnUnauthenticatedRequest: types.AuthenticateCognitoActionConditionalBehaviorEnum(c.Unauthenticated),
				Scope: aws.String(c.Scope), SessionCookieName: aws.String(c.Cookie), SessionTimeout: aws.Int64(c.Timeout)}
		case a.JWT != nil:
			one.JwtValidationConfig = &types.JwtValidationActionConfig{Issuer: aws.String(a.JWT.Issuer), JwksEndpoint: aws.String(a.JWT.Keys)}
			for _, claim := range a.JWT.Claims {
				one.JwtValidationConfig.AdditionalClaims = append(one.JwtValidationConfig.AdditionalClaims, types.JwtValidationActionAdditionalClaim{
					Name: aws.String(claim.Name), Format: types.JwtValidationActionAdditionalClaimFormatEnum(claim.Format), Values: claim.Values})
			}
		}
		out = append(out, one)
	}
	return out
}

func forwardFor(f *albrules.Forward) *types.ForwardActionConfig {
	out := &types.ForwardActionConfig{}
	for _, g := range f.Groups {
		out.TargetGroups = append(out.TargetGroups, types.TargetGroupTuple{TargetGroupArn: aws.String(g.ARN), Weight: aws.Int32(g.Weight)})
	}
	if f.Sticky > 0 {
		out.TargetGroupStickinessConfig = &types.TargetGroupStickinessConfig{Enabled: aws.Bool(true), DurationSeconds: aws.Int32(f.Sticky)}
	}
	return out
}

// Types of transform.
// Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RuleTransform.html
func transform(t types.RuleTransform) albrules.Transform {
	out := albrules.Transform{Type: string(t.Type)}
	var list []types.RewriteConfig
	switch {
	case t.HostHeaderRewriteConfig != nil:
		list = t.HostHeaderRewriteConfig.Rewrites
	case t.UrlRewriteConfig != nil:
		list = t.UrlRewriteConfig.Rewrites
	}
	for _, r := range list {
		out.Rewrites = append(out.Rewrites, albrules.Rewrite{Regex: aws.ToString(r.Regex), Replace: aws.ToString(r.Replace)})
	}
	return out
}

func transformsFor(list []albrules.Transform) []types.RuleTransform {
	var out []types.RuleTransform
	for _, t := range list {
		one := types.RuleTransform{Type: types.TransformTypeEnum(t.Type)}
		var rewrites []types.RewriteConfig
		for _, r := range t.Rewrites {
			rewrites = append(rewrites, types.RewriteConfig{Regex: aws.String(r.Regex), Replace: aws.String(r.Replace)})
		}
		if one.Type == types.TransformTypeEnumHostHeaderRewrite {
			one.HostHeaderRewriteConfig = &types.HostHeaderRewriteConfig{Rewrites: rewrites}
		} else {
			one.UrlRewriteConfig = &types.UrlRewriteConfig{Rewrites: rewrites}
		}
		out = append(out, one)
	}
	return out
}

func conditionsFor(list []albrules.Condition) []types.RuleCondition {
	var out []types.RuleCondition
	for _, c := range list {
		out = append(out, conditionFor(c))
	}
	return out
}
