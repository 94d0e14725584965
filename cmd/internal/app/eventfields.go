package app

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"holdfast/schemas"
)

// EventFields is an event under the names that its schema has, without what is empty.
func EventFields(e *schemas.Event) map[string]any {
	fields := map[string]any{}
	put := func(name string, value any, is bool) {
		if is {
			fields[name] = value
		}
	}
	for _, c := range schemas.EventColumns() {
		switch {
		case c.Str != nil:
			put(c.Name, *c.Str(e), *c.Str(e) != "")
		case c.Num != nil && (c.Name == "time" || c.Name == "created"):
			put(c.Name, time.UnixMilli(*c.Num(e)).UTC(), *c.Num(e) != 0)
		case c.Num != nil:
			put(c.Name, *c.Num(e), *c.Num(e) != 0)
		case c.Flag != nil:
			put(c.Name, true, *c.Flag(e))
		case c.Addr != nil:
			put(c.Name, *c.Addr(e), c.Addr(e).IsValid())
		case c.List != nil:
			put(c.Name, *c.List(e), len(*c.List(e)) > 0)
		}
	}
	put("id", e.ID, true)
	put("credentials", e.Credentials, len(e.Credentials) > 0)
	put("contacts", e.Contacts, len(e.Contacts) > 0)
	put("extra", jsontext.Value(e.Extra), len(e.Extra) > 0)
	return fields
}
