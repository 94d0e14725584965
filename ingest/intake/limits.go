package intake

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"holdfast/schemas"
)

// Limits bound what a source may say, how much that is trusted, and how fast it may
// come. The zero value bounds nothing.
type Limits struct {
	// Accounts and AccountPrefix list the accounts that the source may name: those in the
	// list, and those that begin with the prefix. None of both means all.
	Accounts      []string `yaml:"accounts"`
	AccountPrefix string   `yaml:"account_prefix"`
	// Employees lets a source that is bound to accounts send events of employees too.
	Employees bool `yaml:"employees"`
	// Trust is full (default), or evidence for a source whose records alone may stop,
	// throttle or block nobody.
	Trust schemas.Trust `yaml:"trust"`
	// Rate is how many records a second it may send in the long run, 0 for any; Burst how
	// many may come at once (default: those of ten seconds).
	Rate  float64 `yaml:"rate"`
	Burst int     `yaml:"burst"`
}

// Mistakes returns everything that is wrong with the limits.
func (l *Limits) Mistakes() (all []error) {
	for _, a := range l.Accounts {
		if a == "" || len(a) > schemas.MaxID {
			all = append(all, fmt.Errorf("accounts: %q is no account: write ids of 1 to %d bytes", a, schemas.MaxID))
		}
	}
	if len(l.AccountPrefix) > schemas.MaxID {
		all = append(all, fmt.Errorf("account_prefix: is longer than %d bytes, so that no account begins with it", schemas.MaxID))
	}
	if l.Employees && !l.bound() {
		all = append(all, errors.New("employees: means nothing where no accounts are listed: leave it out"))
	}
	if l.Trust != "" && l.Trust != schemas.TrustFull && l.Trust != schemas.TrustEvidence {
		all = append(all, fmt.Errorf("trust: %q is unknown: use full or evidence", l.Trust))
	}
	if l.Rate < 0 || math.IsInf(l.Rate, 0) || math.IsNaN(l.Rate) || l.Burst < 0 {
		all = append(all, errors.New("rate and burst: write numbers of records from 0 on"))
	}
	if l.Burst > 0 && l.Rate == 0 {
		all = append(all, errors.New("burst: means nothing without rate: write both, or none"))
	}
	return all
}

func (l *Limits) bound() bool { return len(l.Accounts) > 0 || l.AccountPrefix != "" }

// Bind puts limits on a source.
func (s *Source) Bind(l Limits) {
	s.limits = l
	s.limits.Accounts = slices.Clone(l.Accounts)
	slices.Sort(s.limits.Accounts)
	s.limiter = nil
	if l.Rate > 0 {
		burst := l.Burst
		if burst == 0 {
			burst = int(math.Ceil(min(10*l.Rate, math.MaxInt32)))
		}
		s.limiter = rate.NewLimiter(rate.Limit(l.Rate), burst)
	}
}

// Trust is how much the source's records are trusted.
func (s *Source) Trust() schemas.Trust {
	if s.limits.Trust == schemas.TrustEvidence {
		return schemas.TrustEvidence
	}
	return schemas.TrustFull
}

// Late tells how long the source has to wait before it may begin to send again, 0 if it
// may now.
func (s *Source) Late(now time.Time) time.Duration {
	if s.limiter == nil {
		return 0
	}
	missing := 1 - s.limiter.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing / float64(s.limiter.Limit()) * float64(time.Second))
}

// Spend counts one record, also beyond the limit: what has begun to come is taken whole,
// and makes the source wait for longer afterwards.
func (s *Source) Spend(now time.Time) {
	if s.limiter != nil {
		s.limiter.ReserveN(now, 1)
	}
}

// Wait counts one record and waits for its turn.
func (s *Source) Wait(ctx context.Context) error {
	if s.limiter == nil {
		return nil
	}
	return s.limiter.Wait(ctx)
}

// allowed checks that a source that is bound to accounts names no others, in whatever
// field, and says nothing of employees unless it may.
func (s *Source) allowed(e *schemas.Event) *schemas.Error {
	l := &s.limits
	if !l.bound() {
		return nil
	}
	refuse := func(field, what, fix string) *schemas.Error {
		return &schemas.Error{Reason: schemas.ReasonNotAccount, Record: strings.Clone(e.ID), Field: field, What: what, Fix: fix}
	}
	other := func(field, account string) *schemas.Error {
		return refuse(field, fmt.Sprintf("source %s may not send events of account %q", s.Name, account), "use a source that may, or add the account in the configuration")
	}
	if e.Employee != "" && !l.Employees {
		return refuse("employee", fmt.Sprintf("source %s may not send events of employees", s.Name), "use a source that may, or set employees in the configuration")
	}
	named := false
	if e.Account != "" {
		if !s.names(e.Account) {
			return other("account", e.Account)
		}
		named = true
	}
	for _, a := range e.Accounts {
		if !s.names(a) {
			return other("accounts", strings.Clone(a))
		}
		named = true
	}
	if e.Parent != "" && !s.names(e.Parent) {
		return other("parent", e.Parent)
	}
	if !named && e.Employee == "" {
		return refuse("account", fmt.Sprintf("is missing, and source %s may speak of some accounts only", s.Name), "name the account")
	}
	return nil
}

func (s *Source) names(account string) bool {
	if p := s.limits.AccountPrefix; p != "" && strings.HasPrefix(account, p) {
		return true
	}
	_, found := slices.BinarySearch(s.limits.Accounts, account)
	return found
}
