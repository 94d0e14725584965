package history

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/schemas"
)

func TestBefore(t *testing.T) {
	h, c := open(t)
	login := func(account string, at time.Duration, outcome string) schemas.Event {
		return schemas.Event{ID: "x", Type: schemas.TypeLogin, Account: account, Time: start.Add(at).UnixMilli(), Outcome: outcome}
	}
	insertEvents(t, c, 0, 0, login("o'neil", time.Hour, "failure"), login("o'neil", 2*time.Hour, "success"), login("o'neil", 3*time.Hour, "failure"),
		login("guessed", time.Hour, "failure"), login("o'neil", 9*time.Hour, "success"), login("later", 9*time.Hour, "success"))
	if err := c.Exec(t.Context(), "INSERT INTO events (log_id, partition, offset, arrival, entity, origin, type, time) SELECT 'log', 1, 0, arrival, 'account:brought', 'import', 'send', time FROM events WHERE account = 'guessed'"); err != nil {
		t.Fatal(err)
	}
	names := []string{"account:o'neil", "account:guessed", "account:later", "account:brought", "account:none"}
	for i := range 5000 {
		names = append(names, fmt.Sprintf("account:a-name-that-makes-it-several-questions-%d", i))
	}
	got, err := h.Before(t.Context(), names, start.Add(4*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	at := func(hours int) int64 { return start.Add(time.Duration(hours) * time.Hour).UnixMilli() }
	want := map[string]Seen{
		"account:o'neil": {First: at(2), Last: at(3)}, "account:guessed": {Last: at(1)}, "account:brought": {First: at(1), Last: at(1), Imported: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
}
