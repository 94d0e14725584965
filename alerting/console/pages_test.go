package console_test

import (
	"fmt"
	"testing"
	"time"

	"holdfast/alerting/console"
)

// Every page, in both widths and colours: nothing on the console, nothing refused by the
// policy, nothing from elsewhere.
func TestEveryPage(t *testing.T) {
	w := newWorld(t)
	for _, how := range []look{{width: 1280}, {width: 390}, {width: 1280, dark: true}, {width: 390, dark: true}} {
		t.Run(fmt.Sprintf("%d dark=%v", how.width, how.dark), func(t *testing.T) {
			b := w.open(t, "adm", how)
			for _, p := range w.pages() {
				b.to(p.path)
				b.shot(fmt.Sprintf("%s-%d%s", p.name, how.width, map[bool]string{true: "-dark"}[how.dark]))
				for _, x := range b.faults() {
					t.Errorf("%s: %s", p.path, x)
				}
			}
		})
	}
}

type aPage struct{ name, path string }

func (w *world) pages() []aPage {
	id := func(e string) string { c, _ := w.service.Book().CaseOf(account(e)); return c.ID }
	emp, _ := w.service.Book().CaseOf(employee("emp-03"))
	return []aPage{
		{"queue", "/queue"}, {"case", "/case/" + id("acct-0007")}, {"case-awaits", "/case/" + id("acct-0021")}, {"case-employee", "/case/" + emp.ID},
		{"account", "/entity/account:acct-0007"}, {"address", "/entity/ip:203.0.113.77"}, {"employee", "/entity/employee:emp-03"},
		{"bulk-preview", "/bulk/preview?act=suspend&e=account:acct-0044&e=account:acct-0007"}, {"bulks", "/bulk"}, {"nothing", "/nothing"},
		{"links", "/links"}, {"links-account", "/links?entity=account:acct-0007"}, {"explore", "/explore?go=1&from=events&by=account&days=7&type=send"}, {"sql", "/explore?mode=sql&sql=SELECT+1"},
		{"operators", "/operators"}, {"policies", "/policies"}, {"expected", "/expected"}, {"system", "/system"}, {"people", "/people"}, {"me", "/me"},
		{"customer", console.CustomerPath(w.key, "acct-0007", id("acct-0007"), w.now.Add(time.Hour))},
	}
}
