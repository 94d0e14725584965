package proof

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"holdfast/schemas"
)

// Scope is what an employee or an address reached within a time: whom, how, and what
// followed. It counts each record once.
type Scope struct {
	Entity string    `json:"entity"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"` // not included
	Query  string    `json:"query"`
	// Reached are the accounts that a record names, in the order of their names.
	Reached  []Reach `json:"reached"`
	Accounts int64   `json:"accounts"` // that any event before To names
	Share    float64 `json:"share"`    // of them that were reached, 0 to 1
	Records  int64   `json:"records"`
	Rows     int64   `json:"rows"` // that were read, as the records say
	// Bulk are the reads of many: lists, exports, and what names several accounts. Blind
	// are those among them that name none: whom they reached is not known.
	Bulk      int64 `json:"bulk"`
	BulkRows  int64 `json:"bulk_rows"`
	Blind     int64 `json:"blind"`
	BlindRows int64 `json:"blind_rows"`
	// Used are the credentials of accounts whose secrets were seen, where they were used
	// afterwards from addresses that the account had not used in the 30 days before.
	Used []Use `json:"used"`
}

// Reach is one account that was reached.
type Reach struct {
	Account string    `json:"account"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Records int64     `json:"records"`
	Actions []string  `json:"actions"`
	Rows    int64     `json:"rows"`
	Secret  bool      `json:"secret"` // its secrets were seen, or it was acted for
}

// Use is a credential that was used from a new address after its secrets were seen.
type Use struct {
	Account    string    `json:"account"`
	Credential string    `json:"credential"`
	Address    string    `json:"address"`
	First      time.Time `json:"first"`
	Events     int64     `json:"events"`
}

// reachQuery names each account of each record, whether it stands alone or in a list.
const reachQuery = `SELECT name, min(time), max(time), count(), arraySort(groupUniqArray(if(type = 'access', action, type))), sum(rows),
    countIf(action IN ('view_secret', 'impersonate')) > 0
FROM (SELECT time, type, action, rows, arrayJoin(arrayDistinct(arrayFilter(x -> x != '', arrayPushBack(accounts, account)))) AS name
      FROM events_unique WHERE %s AND time >= fromUnixTimestamp64Milli(%d, 'UTC') AND time < fromUnixTimestamp64Milli(%d, 'UTC'))
GROUP BY name ORDER BY name`

// FindScope asks the store whom an employee or an address reached.
func FindScope(ctx context.Context, conn driver.Conn, e schemas.Entity, from, to time.Time) (*Scope, error) {
	by, err := scopeBy(e)
	if err != nil {
		return nil, err
	}
	s := &Scope{Entity: e.Key(), From: from.UTC(), To: to.UTC(), Query: fmt.Sprintf(reachQuery, by, from.UnixMilli(), to.UnixMilli()), Reached: []Reach{}, Used: []Use{}}
	rows, err := conn.Query(ctx, s.Query)
	if err != nil {
		return nil, fmt.Errorf("proof: scope: %w", err)
	}
	for rows.Next() {
		var r Reach
		var n uint64
		var secret uint8
		if err := rows.Scan(&r.Account, &r.First, &r.Last, &n, &r.Actions, &r.Rows, &secret); err != nil {
			_ = rows.Close()
			return nil, fmt.Errorf("proof: scope: %w", err)
		}
		r.Records, r.Secret = int64(n), secret != 0 // #nosec G115 -- a number of rows
		s.Reached = append(s.Reached, r)
	}
	_ = rows.Close()
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("proof: scope: %w", err)
	}
	if err := s.bulk(ctx, conn, by); err != nil {
		return nil, err
	}
	all, err := Accounts(ctx, conn, to)
	if err != nil {
		return nil, err
	}
	if s.Accounts = int64(len(all)); s.Accounts > 0 {
		s.Share = float64(len(s.Reached)) / float64(s.Accounts)
	}
	return s, s.use(ctx, conn)
}

func scopeBy(e schemas.Entity) (string, error) {
	switch e.Kind {
	case schemas.KindEmployee:
		return fmt.Sprintf("employee = '%s' AND type IN ('access', 'credential')", quote(e.ID)), nil
	case schemas.KindIP:
		if strings.Contains(e.ID, "/") {
			network, _, _ := strings.Cut(e.ID, "/")
			return fmt.Sprintf("isNotNull(ip) AND IPv6CIDRToRange(assumeNotNull(ip), 64).1 = toIPv6('%s')", quote(network)), nil
		}
		return fmt.Sprintf("ip = toIPv6('%s')", quote(e.ID)), nil
	}
	return "", fmt.Errorf("the scope of %s cannot be asked: name an employee or an address", e.Key())
}

func (s *Scope) bulk(ctx context.Context, conn driver.Conn, by string) error {
	const many = "(action IN ('list', 'export') OR length(accounts) > 1)"
	const none = "account = '' AND empty(accounts)"
	var records, bulk, blind uint64
	err := conn.QueryRow(ctx, fmt.Sprintf("SELECT count(), sum(rows), countIf(%s), sumIf(rows, %s), countIf(%s AND %s), sumIf(rows, %s AND %s) FROM events_unique WHERE %s AND time >= fromUnixTimestamp64Milli(%d, 'UTC') AND time < fromUnixTimestamp64Milli(%d, 'UTC')",
		many, many, many, none, many, none, by, s.From.UnixMilli(), s.To.UnixMilli())).Scan(&records, &s.Rows, &bulk, &s.BulkRows, &blind, &s.BlindRows)
	if err != nil {
		return fmt.Errorf("proof: scope: %w", err)
	}
	s.Records, s.Bulk, s.Blind = int64(records), int64(bulk), int64(blind) // #nosec G115 -- numbers of rows
	return nil
}

// Accounts lists the accounts that any event before a time names as its own.
func Accounts(ctx context.Context, conn driver.Conn, to time.Time) ([]string, error) {
	var out []string
	err := conn.QueryRow(ctx, fmt.Sprintf("SELECT arraySort(groupUniqArray(account)) FROM events WHERE account != '' AND time < fromUnixTimestamp64Milli(%d, 'UTC')", to.UnixMilli())).Scan(&out)
	if err != nil {
		return nil, fmt.Errorf("proof: accounts: %w", err)
	}
	return out, nil
}

// use looks for credentials that were used from new addresses after they were seen.
func (s *Scope) use(ctx context.Context, conn driver.Conn) error {
	var pairs []string
	for _, r := range s.Reached {
		if r.Secret {
			pairs = append(pairs, fmt.Sprintf("('%s', %d)", quote(r.Account), r.First.UnixMilli()))
		}
	}
	for part := range slices.Chunk(pairs, 1000) {
		rows, err := conn.Query(ctx, fmt.Sprintf(`SELECT account, credential, IPv6NumToString(address), min(time), count()
FROM (SELECT account, credential, assumeNotNull(ip) AS address, time, toUnixTimestamp64Milli(time) AS ms,
             arrayFirst(p -> p.1 = account, [%s]).2 AS seen
      FROM events_unique WHERE account IN (SELECT arrayJoin([%s]).1) AND isNotNull(ip) AND employee = '' AND (type = 'send' OR type = 'login' AND outcome = 'success'))
WHERE ms > seen AND (account, address) NOT IN (
    SELECT account, assumeNotNull(ip) FROM events_unique
    WHERE account IN (SELECT arrayJoin([%s]).1) AND isNotNull(ip) AND employee = ''
      AND toUnixTimestamp64Milli(time) <= arrayFirst(p -> p.1 = account, [%s]).2
      AND toUnixTimestamp64Milli(time) > arrayFirst(p -> p.1 = account, [%s]).2 - 2592000000)
GROUP BY account, credential, address ORDER BY account, min(time)`, list(part), list(part), list(part), list(part), list(part)))
		if err != nil {
			return fmt.Errorf("proof: scope: %w", err)
		}
		for rows.Next() {
			var u Use
			var n uint64
			if err := rows.Scan(&u.Account, &u.Credential, &u.Address, &u.First, &n); err != nil {
				_ = rows.Close()
				return fmt.Errorf("proof: scope: %w", err)
			}
			u.Events, u.Address = int64(n), strings.TrimPrefix(u.Address, "::ffff:") // #nosec G115 -- a number of rows
			s.Used = append(s.Used, u)
		}
		_ = rows.Close()
		if err := rows.Err(); err != nil {
			return fmt.Errorf("proof: scope: %w", err)
		}
	}
	return nil
}

func list(pairs []string) string { return strings.Join(pairs, ", ") }
