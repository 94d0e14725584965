package main

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

func mailCases() []oneCase {
	return []oneCase{
		likeCase("mail-01", "mail-01-letter-case.ndjson.gz", "new_source low and no decision, as in lower case", lowerNames, func(f found) error {
			if err := f.has(nil, []string{"new_source low account:acct-7"}); err != nil {
				return err
			}
			for _, verdict := range []string{"throttle ", "suspend ", "review "} {
				if err := f.none(verdict); err != nil {
					return err
				}
			}
			return nil
		}),
		replayCase("mail-03", "mail-03-bounces-told-again.ndjson.gz", "no signal of bad_outcomes, as when each is told once",
			func(f found) error { return f.none("bad_outcomes") }, toldOnce, func(f found) error { return f.none("bad_outcomes") }),
	}
}

// mapFields changes the fields of records.
func mapFields(s string, change func(name, value string) string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		fields := map[string]jsontext.Value{}
		if json.Unmarshal([]byte(line), &fields) != nil {
			b.WriteString(line)
			continue
		}
		for name, value := range fields {
			fields[name] = jsontext.Value(change(name, string(value)))
		}
		out, _ := json.Marshal(fields)
		b.Write(out)
		b.WriteByte('\n')
	}
	return b.String()
}

// toldOnce keeps the first of the deliveries that say the same.
func toldOnce(s string) string {
	seen := map[string]bool{}
	var b strings.Builder
	for line := range strings.Lines(s) {
		var x struct {
			Type      string `json:"type"`
			Message   string `json:"message_id"`
			Recipient string `json:"recipient"`
			Outcome   string `json:"outcome"`
		}
		if json.Unmarshal([]byte(line), &x) == nil && x.Type == "delivery" {
			key := x.Message + "\x00" + x.Recipient + "\x00" + x.Outcome
			if seen[key] {
				continue
			}
			seen[key] = true
		}
		b.WriteString(line)
	}
	return b.String()
}
