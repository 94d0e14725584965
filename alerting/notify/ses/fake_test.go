package ses

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

// fake is Amazon SES as far as tenants and reputation entities go, by its documented API
// (API version 2019-09-27): GetTenant, GetReputationEntity and
// UpdateReputationEntityCustomerManagedStatus with their errors. What is read may be older
// than what was written last.
type fake struct {
	mu       sync.Mutex
	tenants  map[string]string // ARN by name
	status   map[string]string // customer-managed, by ARN
	seen     map[string]string // what reads answer, behind status by lag reads
	lag      int
	fail     []failure // the next answers
	calls    []string
	unsigned int
}

type failure struct {
	status int
	code   string
	after  string
	cut    bool // the change is made, and the connection breaks before the answer
}

func newFake(tenants ...string) *fake {
	f := &fake{tenants: map[string]string{}, status: map[string]string{}, seen: map[string]string{}}
	for i, name := range tenants {
		arn := fmt.Sprintf("arn:aws:ses:eu-central-1:123456789012:tenant/%s/tn-%04d", name, i)
		f.tenants[name], f.status[arn], f.seen[arn] = arn, "ENABLED", "ENABLED"
	}
	return f
}

const entities = "/v2/email/reputation/entities/RESOURCE/"

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := httptest.NewRecorder()
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	f.calls = append(f.calls, r.Method+" "+r.URL.EscapedPath()+" "+string(body))
	if a := r.Header.Get("Authorization"); !strings.HasPrefix(a, "AWS4-HMAC-SHA256 Credential=AKID/") || !strings.Contains(a, "/eu-central-1/ses/aws4_request") {
		f.unsigned++
	}
	var next failure
	if len(f.fail) > 0 {
		next, f.fail = f.fail[0], f.fail[1:]
	}
	if next.status != 0 {
		if next.after != "" {
			w.Header().Set("Retry-After", next.after)
		}
		refuse(w, next.status, next.code)
		return w.Result(), nil
	}
	f.answer(w, r, body)
	if next.cut {
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

func (f *fake) answer(w *httptest.ResponseRecorder, r *http.Request, body []byte) {
	if r.Method == http.MethodPost && r.URL.Path == "/v2/email/tenants/get" {
		var q struct{ TenantName string }
		_ = json.Unmarshal(body, &q)
		arn, ok := f.tenants[q.TenantName]
		if !ok {
			refuse(w, http.StatusNotFound, "NotFoundException")
			return
		}
		fmt.Fprintf(w, `{"Tenant":{"TenantName":%q,"TenantArn":%q,"TenantId":"tn","SendingStatus":"ENABLED"}}`, q.TenantName, arn)
		return
	}
	arn, change := strings.CutSuffix(strings.TrimPrefix(r.URL.EscapedPath(), entities), "/customer-managed-status")
	arn, err := url.PathUnescape(arn)
	is, known := f.status[arn]
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
		f.status[arn] = q.SendingStatus
		w.WriteHeader(http.StatusOK)
	case r.Method == http.MethodGet:
		if f.lag--; f.lag < 0 {
			f.seen[arn] = is
		}
		fmt.Fprintf(w, `{"ReputationEntity":{"ReputationEntityReference":%q,"ReputationEntityType":"RESOURCE","SendingStatusAggregate":%q,`+
			`"CustomerManagedStatus":{"Status":%q,"Cause":"","LastUpdatedTimestamp":1796000000},"AwsSesManagedStatus":{"Status":"ENABLED"}}}`, arn, f.seen[arn], f.seen[arn])
	default:
		refuse(w, http.StatusBadRequest, "BadRequestException")
	}
}
