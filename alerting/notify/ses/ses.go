// Package ses stops and releases tenants of Amazon SES: an account's mail goes out by its
// tenant, and the tenant's customer-managed sending status is DISABLED while the account is
// suspended. SES can do nothing less: it is told of suspensions and of their ends alone, and
// tenants of accounts that Holdfast never suspended are left as they are.
//
// It promises that a call is harmless when it comes twice, that a refusal which cannot pass
// (a bad request, a tenant that does not exist) is told from one that may (throttling, a
// conflict, missing rights, SES being away), and that credentials come from the SDK's default
// chain, which is looked at only where a region is configured. What AWS itself has disabled
// stays so: Holdfast sets its own of the two statuses.
package ses

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"

	"holdfast/alerting/notify"
	"holdfast/schemas"
)

// Name is the receiver's name in records and metrics.
const Name = "ses"

// SES is the tenants of one region. It is safe for concurrent use.
type SES struct {
	cfg    Config
	client *sesv2.Client

	mu   sync.Mutex
	arns map[string]string // of tenants by name; at most maxARNs
}

// maxARNs bounds the remembered ARNs: 65,536 of some 200 bytes.
const maxARNs = 1 << 16

// Deps are what a SES works with; each may be missing.
type Deps struct {
	Transport   http.RoundTripper
	Credentials aws.CredentialsProvider // the SDK's default chain where nil
}

// New finds credentials and returns a receiver that connects when it is used.
func New(ctx context.Context, cfg Config, deps Deps) (*SES, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	with := []func(*awsconfig.LoadOptions) error{awsconfig.WithRegion(cfg.Region)}
	if deps.Credentials != nil {
		with = append(with, awsconfig.WithCredentialsProvider(deps.Credentials))
	}
	loaded, err := awsconfig.LoadDefaultConfig(ctx, with...)
	if err != nil {
		return nil, fmt.Errorf("credentials for Amazon SES: %w", err)
	}
	client := sesv2.NewFromConfig(loaded, func(o *sesv2.Options) {
		o.Retryer = aws.NopRetryer{} // enforcement tries again, and counts it
		o.HTTPClient = &http.Client{Timeout: cfg.Timeout, Transport: deps.Transport}
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(strings.TrimRight(cfg.Endpoint, "/"))
		}
	})
	return &SES{cfg: cfg, client: client, arns: map[string]string{}}, nil
}

// Name is the receiver's name.
func (s *SES) Name() string { return Name }

// Takes reports whether a status concerns SES: an account's suspension, and whatever ends it.
func (s *SES) Takes(st *schemas.Status, stopped bool) bool {
	if st.Entity.Kind != schemas.KindAccount {
		return false
	}
	_, ok := s.cfg.tenant(st.Entity.ID)
	return ok && (st.Status == schemas.StatusSuspended || stopped)
}

// Change sets the tenant's status.
func (s *SES) Change(ctx context.Context, c notify.Change) (retry bool, err error) {
	status := types.SendingStatus(s.cfg.Released)
	if c.Status == schemas.StatusSuspended {
		status = types.SendingStatusDisabled
	}
	arn, err := s.arn(ctx, c.Entity.ID)
	if err != nil {
		return passes(err), err
	}
	_, err = s.client.UpdateReputationEntityCustomerManagedStatus(ctx, &sesv2.UpdateReputationEntityCustomerManagedStatusInput{
		ReputationEntityReference: aws.String(arn), ReputationEntityType: types.ReputationEntityTypeResource, SendingStatus: status,
	})
	var missing *types.NotFoundException
	again := errors.As(err, &missing) && s.forget(c.Entity.ID)
	err = told(err)
	return again || passes(err), err
}

// Reports says that SES can be asked.
func (s *SES) Reports() bool { return true }

// Status is what the customer-managed status says of the account's tenant.
func (s *SES) Status(ctx context.Context, e schemas.Entity) (notify.Report, error) {
	arn, err := s.arn(ctx, e.ID)
	if err != nil {
		return notify.Report{}, err
	}
	out, err := s.client.GetReputationEntity(ctx, &sesv2.GetReputationEntityInput{
		ReputationEntityReference: aws.String(arn), ReputationEntityType: types.ReputationEntityTypeResource,
	})
	if err != nil {
		return notify.Report{}, told(err)
	}
	is := notify.Report{Status: schemas.StatusActive}
	if r := out.ReputationEntity; r != nil && r.CustomerManagedStatus != nil && r.CustomerManagedStatus.Status == types.SendingStatusDisabled {
		is.Status = schemas.StatusSuspended
	}
	return is, nil
}

// arn is that of an account's tenant. SES gives each tenant an id that stands in it, so it is
// asked for by name, once.
func (s *SES) arn(ctx context.Context, account string) (string, error) {
	name, ok := s.cfg.tenant(account)
	if !ok {
		return "", &Error{text: fmt.Sprintf("Amazon SES: account %q has no tenant in enforce.ses.map_file", account)}
	}
	if strings.HasPrefix(name, "arn:") {
		return name, nil
	}
	s.mu.Lock()
	arn := s.arns[name]
	s.mu.Unlock()
	if arn != "" {
		return arn, nil
	}
	out, err := s.client.GetTenant(ctx, &sesv2.GetTenantInput{TenantName: aws.String(name)})
	if err != nil {
		return "", told(err)
	}
	if out.Tenant == nil || aws.ToString(out.Tenant.TenantArn) == "" {
		return "", &Error{retry: true, text: fmt.Sprintf("Amazon SES: its answer names no ARN of tenant %q", name)}
	}
	arn = *out.Tenant.TenantArn
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.arns) >= maxARNs {
		clear(s.arns)
	}
	s.arns[name] = arn
	return arn, nil
}

// forget has a tenant's ARN asked for anew, where it was: the tenant may have been made again,
// under another one.
func (s *SES) forget(account string) bool {
	name, _ := s.cfg.tenant(account)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.arns[name]
	delete(s.arns, name)
	return ok
}

// Error is why SES did not do what it was asked to.
type Error struct {
	text  string
	retry bool
	after time.Duration
}

// Error names the service's own error code.
func (e *Error) Error() string { return e.text }

// RetryAfter is the pause that SES asked for, 0 where it did not.
func (e *Error) RetryAfter() time.Duration { return e.after }

func passes(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.retry
}

// told says whether an error of the SDK may pass. A request that is bad and a tenant that does
// not exist do not; rights that are missing get granted, so they do.
func told(err error) error {
	if err == nil {
		return nil
	}
	e := &Error{retry: true, text: "Amazon SES: no answer: " + cause(err).Error()}
	var answered smithy.APIError
	if errors.As(err, &answered) {
		e.text = fmt.Sprintf("Amazon SES answered %s: %s", answered.ErrorCode(), notify.Clip(answered.ErrorMessage(), 200))
	}
	var bad *types.BadRequestException
	var missing *types.NotFoundException
	if errors.As(err, &bad) || errors.As(err, &missing) {
		e.retry = false
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.Response != nil {
		e.after = notify.RetryAfter(response.Response.Header, time.Now())
	}
	return e
}

// cause is the innermost error: what is around it repeats the operation and the host.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
