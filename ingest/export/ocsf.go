package export

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// Object is an object of OCSF.
type Object map[string]any

// The classes of OCSF that are written. 3001, Account Change, stands for 3007 in OCSF 1.8,
// which does not know User Management.
const (
	classAuthentication = 3002
	classUserManagement = 3007
	classAccountChange  = 3001
	classDetection      = 2004
	classIncident       = 2005
	classEmail          = 4009
)

// OCSF writes logins (3002), changes of credentials (3007), sends and deliveries (4009),
// signals (2004) and cases (2005), one after another, each in the order of time.
type OCSF struct {
	Version string // 1.9.0, or 1.8.0
	Product string // version of Holdfast
}

// Versions lists the versions of OCSF.
func Versions() []string { return []string{"1.9", "1.8"} }

// class is one class, and where its records come from.
type class struct {
	topic schemas.Topic
	where string
	of    func(*OCSF, Row) (Object, error)
}

func classes() []class {
	return []class{
		{schemas.TopicEvents, "type = 'login'", (*OCSF).login},
		{schemas.TopicEvents, "type = 'credential'", (*OCSF).credential},
		{schemas.TopicEvents, "type IN ('send', 'delivery')", (*OCSF).email},
		{schemas.TopicInbox, "kind = 'signal'", (*OCSF).signal},
		{schemas.TopicCases, "kind = 'case'", (*OCSF).incident},
	}
}

// Write calls f with each object. The query's table is not used.
func (o *OCSF) Write(ctx context.Context, conn driver.Conn, q Query, f func(Object) error) error {
	for _, c := range classes() {
		q.Table, _ = schemas.TableOf(c.topic)
		q.where = c.where
		err := Rows(ctx, conn, q, func(r Row) error {
			x, err := c.of(o, r)
			if err != nil || x == nil {
				return err
			}
			return f(x)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// base is what every class has.
func (o *OCSF) base(r Row, class, activity, severity int) Object {
	x := Object{
		"class_uid": class, "category_uid": class / 1000, "activity_id": activity, "type_uid": class*100 + activity, "severity_id": severity,
		"time": r.moment("time").UnixMilli(),
		"metadata": Object{
			"version": o.Version, "uid": r.text("id"), "logged_time": r.moment(schemas.ColumnArrival).UnixMilli(), "log_name": r.text(schemas.ColumnTopic),
			"product": Object{"name": "Holdfast", "vendor_name": "Holdfast", "version": o.Product},
		},
	}
	if account := r.text("account"); account != "" {
		x["metadata"].(Object)["tenant_uid"] = account
	}
	return x
}

const (
	severityUnknown, severityInfo = 0, 1
	statusSuccess, statusFailure  = 1, 2
	statusOther                   = 99
)

// endpoint is where the record came from.
func endpoint(r Row, x Object) {
	if a, _ := r["ip"].(netip.Addr); a.IsValid() {
		x["src_endpoint"] = Object{"ip": a.String()}
	}
}

// user is whom a record is about, with the account as the organization.
func user(r Row, name string) Object {
	out := Object{}
	if name != "" {
		out["name"] = name
	}
	account := r.text("account")
	if e := r.text("employee"); e != "" && account == "" {
		out["uid"], out["type_id"] = e, 99
		out["type"] = "Employee"
		return out
	}
	if account != "" {
		out["account"] = Object{"uid": account}
		if name == "" {
			out["uid"] = account
		}
	}
	return out
}

func (o *OCSF) login(r Row) (Object, error) {
	x := o.base(r, classAuthentication, 1, severityInfo)
	x["user"] = user(r, r.text("user"))
	x["service"] = Object{"name": "mail platform"}
	switch r.text("outcome") {
	case "success":
		x["status_id"] = statusSuccess
	case "failure":
		x["status_id"] = statusFailure
	default:
		x["status_id"], x["status"] = statusOther, r.text("outcome")
	}
	if s := r.text("reason"); s != "" {
		x["status_detail"] = s
	}
	if s := r.text("session"); s != "" {
		x["session"] = Object{"uid": s}
	}
	if s := r.text("user_agent"); s != "" {
		x["http_request"] = Object{"user_agent": s}
	}
	if s := r.text("method"); s != "" {
		x["auth_protocol_id"], x["auth_protocol"] = 99, s
	}
	endpoint(r, x)
	return x, nil
}

// activities of 3007 by kind and change of a credential; of 3001, which fewer fit.
var activities = map[string]int{
	"user_password/reset": 9, "user_password/rotated": 8, "user_password/created": 1, "user_password/revoked": 3, "user_password/removed": 3,
	"user_password/enabled": 4, "user_password/disabled": 5, "mfa/enabled": 12, "mfa/created": 12, "mfa/added": 12, "mfa/disabled": 13, "mfa/revoked": 13, "mfa/removed": 13,
	"api_key/created": 18, "api_key/added": 18, "api_key/enabled": 18, "api_key/revoked": 19, "api_key/removed": 19, "api_key/disabled": 19,
	"smtp_password/created": 18, "smtp_password/added": 18, "smtp_password/enabled": 18, "smtp_password/revoked": 19, "smtp_password/removed": 19, "smtp_password/disabled": 19,
}

var olderActivities = map[int]int{1: 1, 3: 6, 4: 2, 5: 5, 8: 3, 9: 4, 12: 10, 13: 11}

func (o *OCSF) credential(r Row) (Object, error) {
	what := r.text("kind") + "/" + r.text("change")
	class, activity := classUserManagement, activities[what]
	if strings.HasPrefix(o.Version, "1.8") {
		class, activity = classAccountChange, olderActivities[activity]
	}
	if activity == 0 {
		activity = 99
	}
	x := o.base(r, class, activity, severityInfo)
	if activity == 99 {
		x["activity_name"] = what
	}
	x["user"] = user(r, r.text("user"))
	x["message"] = fmt.Sprintf("%s %s %s", r.text("kind"), r.text("credential"), r.text("change"))
	if class == classUserManagement && (activity == 18 || activity == 19) {
		x["user"].(Object)["programmatic_credentials"] = []Object{{"uid": r.text("credential"), "type": r.text("kind")}}
	}
	if e := r.text("employee"); e != "" {
		x["actor"] = Object{"user": Object{"uid": e, "type_id": 99, "type": "Employee"}}
	} else if a := r.text("actor"); a != "" {
		x["actor"] = Object{"invoked_by": a}
	}
	x["status_id"] = statusSuccess
	endpoint(r, x)
	return x, nil
}

func (o *OCSF) email(r Row) (Object, error) {
	x := o.base(r, classEmail, 1, severityInfo) // Send
	mail := Object{}
	if r.text("type") == "send" {
		x["status_id"] = statusSuccess
		if list, _ := r["recipients"].([]string); len(list) > 0 {
			mail["to"] = list
		}
		if s := r.text("sender"); s != "" {
			mail["from"] = s
		}
		if n, _ := r["size"].(int64); n > 0 {
			mail["size"] = n
		}
		if n, _ := r["recipient_count"].(int64); n > 1 {
			x["count"] = n
		}
	} else {
		x["status_id"], x["status_detail"] = statusFailure, r.text("outcome")
		if r.text("outcome") == "delivered" {
			x["status_id"] = statusSuccess
		}
		if s := r.text("recipient"); s != "" {
			mail["to"] = []string{s}
		}
	}
	if mail["to"] == nil && mail["from"] == nil {
		mail["to"] = []string{"undisclosed-recipients:;"} // OCSF wants one of the two
	}
	if s := r.text("message_id"); s != "" {
		mail["message_uid"] = s
	}
	x["email"] = mail
	x["direction_id"] = 2 // Outbound
	endpoint(r, x)
	return x, nil
}

var severities = map[schemas.Severity]int{schemas.SeverityLow: 2, schemas.SeverityMedium: 3, schemas.SeverityHigh: 4, schemas.SeverityCritical: 5}

func (o *OCSF) signal(r Row) (Object, error) {
	var s schemas.Signal
	if json.Unmarshal([]byte(r.text(schemas.ColumnBody)), &s) != nil {
		return nil, nil //nolint:nilerr // the table keeps what cannot be decoded; it is no finding
	}
	x := o.base(r, classDetection, 1, severities[s.Severity])
	x["finding_info"] = Object{
		"uid": s.ID, "title": s.Detector, "desc": s.Evidence.Text, "created_time": s.Time.UnixMilli(),
		"analytic": Object{"name": s.Detector, "type_id": 1, "version": fmt.Sprint(s.Version), "category": string(s.Family)},
	}
	if s.Technique != "" {
		x["finding_info"].(Object)["attacks"] = []Object{{"technique": Object{"uid": s.Technique}}}
	}
	x["status_id"] = 1 // New
	x["confidence_score"] = int(s.Score*100 + 0.5)
	x["evidences"] = []Object{{"data": Object{"observed": s.Evidence.Observed, "expected": s.Evidence.Expected, "threshold": s.Evidence.Threshold, "unit": s.Evidence.Unit, "window": s.Evidence.Window, "events": s.Evidence.Samples}}}
	x["resources"] = []Object{{"uid": s.Entity.ID, "type": string(s.Entity.Kind)}}
	return x, nil
}

func (o *OCSF) incident(r Row) (Object, error) {
	var k schemas.Case
	if json.Unmarshal([]byte(r.text(schemas.ColumnBody)), &k) != nil {
		return nil, nil //nolint:nilerr // as above
	}
	activity, status := 2, 2 // Update, In Progress
	switch k.Stage {
	case schemas.StageOpen:
		activity, status = 1, 1 // Create, New
	case schemas.StageProbation:
		status = 4 // Resolved
	case schemas.StageClosed:
		activity, status = 3, 5 // Close, Closed
	}
	x := o.base(r, classIncident, activity, severityUnknown)
	x["status_id"] = status
	info := Object{"uid": k.ID, "title": fmt.Sprintf("%s, episode %d", k.Entity.Key(), k.Episode), "created_time": k.Opened.UnixMilli()}
	if len(k.Decisions) > 0 {
		info["related_events"] = relatedTo(k.Decisions)
	}
	x["finding_info_list"] = []Object{info}
	if k.Owner != "" {
		x["assignee"] = Object{"name": k.Owner}
	} else {
		x["assignee_group"] = Object{"name": "trust and safety"}
	}
	if v, ok := map[schemas.CaseVerdict]int{schemas.CaseCompromised: 2, schemas.CaseFalseAlarm: 1, schemas.CaseExpected: 5}[k.Verdict]; ok {
		x["verdict_id"] = v
	}
	if k.Why != "" {
		x["comment"] = k.Why
	}
	return x, nil
}

func relatedTo(ids []string) []Object {
	out := make([]Object, len(ids))
	for i, id := range ids {
		out[i] = Object{"uid": id}
	}
	return out
}
