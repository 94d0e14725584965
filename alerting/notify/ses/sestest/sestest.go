// Package sestest is Amazon SES on loopback or in memory, for tests: tenants and reputation
// entities by the documented API.
package sestest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
)

// Fake is Amazon SES as far as tenants and reputation entities go, by its documented API
// (API version 2019-09-27): GetTenant, GetReputationEntity and
// UpdateReputationEntityCustomerManagedStatus with their errors. What is read may be older
// than what was written last.
type Fake struct {
	Tenants  map[string]string // ARN by name
	Statuses map[string]string // customer-managed, by ARN
	Lag      int               // so many reads are behind
	Fail     []Failure         // the next answers
	Calls    []string          // method, path and body of each
	Unsigned int               // calls without a signature for the region

	mu   sync.Mutex
	seen map[string]string // what reads answer
}

// Failure is an answer in place of the right one.
type Failure struct {
	Status int
	Code   string
	After  string // Retry-After
	Cut    bool   // the change is made, and the connection breaks before the answer
}

// New returns a region with these tenants, all of them enabled.
func New(tenants ...string) *Fake {
	f := &Fake{Tenants: map[string]string{}, Statuses: map[string]string{}, seen: map[string]string{}}
	for i, name := range tenants {
		arn := fmt.Sprintf("arn:aws:ses:eu-central-1:123456789012:tenant/%s/tn-%04d", name, i)
		f.Tenants[name], f.Statuses[arn], f.seen[arn] = arn, "ENABLED", "ENABLED"
	}
	return f
}

// Status is a tenant's customer-managed status.
func (f *Fake) Status(tenant string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Statuses[f.Tenants[tenant]]
}

const entities = "/v2/email/reputation/entities/RESOURCE/"

// ServeHTTP answers as SES does.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := f.RoundTrip(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer answer.Body.Close()
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}

// RoundTrip makes a Fake a transport.
func (f *Fake) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := httptest.NewRecorder()
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	f.Calls = append(f.Calls, r.Method+" "+r.URL.EscapedPath()+" "+string(body))
	if a := r.Header.Get("Authorization"); !strings.HasPrefix(a, "AWS4-HMAC-SHA256 Credential=AKID/") || !strings.Contains(a, "/eu-central-1/ses/aws4_request") {
		f.Unsigned++
	}
	var next Failure
	if len(f.Fail) > 0 {
		next, f.Fail = f.Fail[0], f.Fail[1:]
	}
	if next.Status != 0 {
		if next.After != "" {
			w.Header().Set("Retry-After", next.After)
		}
		refuse(w, next.Status, next.Code)
		return w.Result(), nil
	}
	f.answer(w, r, body)
	if next.Cut {
		return nil, io.ErrUnexpectedEOF
	}
	return w.Result(), nil
}

func refuse(w *httptest.ResponseRecorder, status int, code string) {
	w.Header().Set("X-Amzn-ErrorType", code)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"message":"as the service says it"}`)
}

func (f *Fake) answer(w *httptest.ResponseRecorder, r *http.Request, body []byte) {
	if r.Method == http.MethodPost && r.URL.Path == "/v2/email/tenants/get" {
		var q struct{ TenantName string }
		_ = json.Unmarshal(body, &q)
		arn, ok := f.Tenants[q.TenantName]
		if !ok {
			refuse(w, http.StatusNotFound, "NotFoundException")
			return
		}
		fmt.Fprintf(w, `{"Tenant":{"TenantName":%q,"TenantArn":%q,"TenantId":"tn","SendingStatus":"ENABLED"}}`, q.TenantName, arn)
		return
	}
	arn, change := strings.CutSuffix(strings.TrimPrefix(r.URL.EscapedPath(), entities), "/customer-managed-status")
	arn, err := url.PathUnescape(arn)
	is, known := f.Statuses[arn]
	switch {
	case err != nil || !strings.HasPrefix(r.URL.EscapedPath(), entities):
		refuse(w, http.StatusBadRequest, "BadRequestException")
	case !known:
		refuse(w, http.StatusNotFound, "NotFoundException")
	case change && r.Method == http.MethodPut:
		var q struct{ SendingStatus string }
		if json.Unmarshal(body, &q) != nil || q.SendingStatus != "ENABLED" && q.SendingStatus != "DISABLED" && q.SendingStatus != "REINSTATED" {
			refuse(w, http.StatusBadRequest, "BadRequestException")
			return
		}
		f.Statuses[arn] = q.SendingStatus
		w.WriteHeader(http.StatusOK)
	case r.Method == http.MethodGet:
		if f.Lag--; f.Lag < 0 {
			f.seen[arn] = is
		}
		_ = json.MarshalWrite(w, map[string]any{"ReputationEntity": map[string]any{
			"ReputationEntityReference": arn, "ReputationEntityType": "RESOURCE", "SendingStatusAggregate": f.seen[arn],
			"CustomerManagedStatus": map[string]any{"Status": f.seen[arn], "Cause": "", "LastUpdatedTimestamp": 1796000000}, "AwsSesManagedStatus": map[string]any{"Status": "ENABLED"},
		}})
	default:
		refuse(w, http.StatusBadRequest, "BadRequestException")
	}
}
