package sshd

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// exported is what is read of a line that is JSON: the journal's export, or what a
// container's runtime keeps.
type exported struct {
	Realtime   string         `json:"__REALTIME_TIMESTAMP"` // µs since 1970
	Source     string         `json:"_SOURCE_REALTIME_TIMESTAMP"`
	Host       string         `json:"_HOSTNAME"`
	Identifier string         `json:"SYSLOG_IDENTIFIER"`
	Command    string         `json:"_COMM"`
	PID        string         `json:"_PID"`
	SyslogPID  string         `json:"SYSLOG_PID"`
	Message    jsontext.Value `json:"MESSAGE"` // a string, or its bytes where it is no text

	Log  string `json:"log"`
	Time string `json:"time"`
}

const whyJSON = "is JSON and no record of the journal (journalctl -o json) or of a container"

func parseJSON(line string) (e entry, ok bool, why string) {
	var in exported
	if err := json.Unmarshal([]byte(line), &in); err != nil {
		return e, false, whyJSON
	}
	if in.Log != "" && in.Time != "" {
		at, err := time.Parse(time.RFC3339Nano, in.Time)
		if err != nil {
			return e, false, whyNoTime
		}
		e = entry{stamp: stamp{at: at.UTC(), zoned: true}, program: "sshd", message: strings.TrimRight(in.Log, "\r\n")}
		return e, true, ""
	}
	micros, ok := number(in.Realtime)
	if !ok {
		return e, false, whyJSON
	}
	if at, ok := number(in.Source); ok {
		micros = at
	}
	e = entry{stamp: stamp{at: time.UnixMicro(int64(micros)).UTC(), zoned: true}, host: in.Host, program: in.Identifier, pid: in.SyslogPID}
	if e.program == "" {
		e.program = in.Command
	}
	if e.pid == "" {
		e.pid = in.PID
	}
	e.message, ok = messageText(in.Message)
	if !ok {
		return e, false, whyJSON
	}
	return e, true, ""
}

// messageText reads a string, or an array of bytes.
func messageText(v jsontext.Value) (string, bool) {
	if v.Kind() == '[' {
		var numbers []uint8
		var wide []int
		if json.Unmarshal(v, &wide) != nil {
			return "", false
		}
		for _, n := range wide {
			numbers = append(numbers, uint8(n))
		}
		return string(numbers), true
	}
	var s string
	return s, v != nil && json.Unmarshal(v, &s) == nil
}
