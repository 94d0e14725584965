package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/history"
	"holdfast/ingest/importer"
	"holdfast/schemas"
)

// openPast opens the audit store, which tells an import what was recorded before it.
// Where it cannot be opened, the import goes on, and says so in the end.
func openPast(cfg *config.Config) (past past, closed func()) {
	_, err := app.FindRunning(cfg)
	if err == nil {
		store, failed := app.OpenStore(cfg, quiet())
		if failed == nil {
			return history.New(store), func() { _ = store.Close() }
		}
		err = failed
	}
	return away{err}, func() {}
}

// past is what an import asks of the audit store.
type past interface {
	importer.Past
	Sent(ctx context.Context, source string, before time.Time) ([]uint64, error)
}

// away is an audit store that cannot be asked.
type away struct{ err error }

// Before says why.
func (a away) Before(context.Context, []string, time.Time) (map[string]history.Seen, error) {
	return nil, a.err
}

// Sent says why.
func (a away) Sent(context.Context, string, time.Time) ([]uint64, error) { return nil, a.err }

// tellUntaught says which records of an import teach detection nothing, and what to do.
// It is an error where that is all of them.
func tellUntaught(sum importer.Summary) error {
	u := sum.Untaught
	late, unsorted := sum.Late+sum.Resumed.Late, sum.Unsorted+sum.Resumed.Unsorted
	advice := fmt.Sprintf("import an account's history before its first live record or within the %d days after it, "+
		"all at once and sorted by time (an employee's before the first live record); after that the baseline is what they do themselves", newDays)
	if u.Unchecked > 0 {
		why := "there are too many accounts"
		if u.Err != nil {
			why = "the audit store cannot be asked: " + u.Err.Error()
		}
		fmt.Printf("it is not known whether %s taught detection anything, because %s; history that is imported later than %d days after an account's first live record teaches nothing\n",
			count(u.Unchecked, "record", "records"), why, newDays)
	}
	if all := sum.Accepted + sum.Resumed.Accepted; late > 0 && late+unsorted == all {
		return fmt.Errorf("nothing was learned from this import: all %s%s lie more than %s behind what was recorded before; they stand in the audit store and teach detection nothing: %s",
			count(all, "record", "records"), untaughtNames(u.Late), untaughtAge, advice)
	}
	if late > 0 {
		fmt.Printf("warning: %d of these records%s lie more than %s behind what was recorded before; they stand in the audit store and teach detection nothing: %s\n",
			late, untaughtNames(u.Late), untaughtAge, advice)
	}
	if unsorted > 0 {
		fmt.Printf("warning: %d of these records%s lie more than %s behind earlier records of the same account in this import; they stand in the audit store and teach detection nothing: sort files by time, and name the oldest first\n",
			unsorted, untaughtNames(u.Unsorted), untaughtAge)
	}
	return nil
}

const (
	newDays     = int(schemas.NewFor / (24 * time.Hour))
	untaughtAge = "ten minutes" // schemas.Lateness in words
)

// untaughtNames says of how many accounts and employees records teach nothing, and names
// the first; "" where an earlier run found them.
func untaughtNames(w importer.Whose) string {
	var who []string
	if w.Accounts > 0 {
		who = append(who, count(w.Accounts, "account", "accounts"))
	}
	if w.Employees > 0 {
		who = append(who, count(w.Employees, "employee", "employees"))
	}
	if len(who) == 0 {
		return ""
	}
	names := strings.Join(w.Named, ", ")
	if len(w.Named) < w.Accounts+w.Employees {
		names += ", ..."
	}
	return ", of " + strings.Join(who, " and ") + " (" + names + "),"
}
