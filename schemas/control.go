package schemas

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Keys of the control topic.
const (
	ControlInstallation = "installation"
	ControlPolicies     = "policies"
	ControlParameters   = "parameters"
	ControlTrial        = "trial" // versions of Trial
)

// Installation is what is fixed when the topics are created.
type Installation struct {
	ID      string    `json:"id"`
	Lanes   int       `json:"lanes"`
	LogID   string    `json:"log_id"` // changes when the log is new
	Created time.Time `json:"created"`
	// HashSecret keys the sketches' hash, 32 bytes.
	HashSecret []byte `json:"hash_secret"`
}

// ControlDelay is the least distance between a version's arrival and the event
// time from which it holds: more than the future tolerance, so that no window
// that already began changes its parameters.
const ControlDelay = 6 * time.Minute

// Versioned is a control value with its history, oldest first.
type Versioned struct {
	Versions []Version `json:"versions"`
}

// Version is one value and the event time from which it is in force.
type Version struct {
	From  time.Time      `json:"from"`
	Value jsontext.Value `json:"value"`
}

// At returns the value in force at t, the oldest where t lies before all, and
// nil where there is none.
func (v Versioned) At(t time.Time) jsontext.Value {
	var out jsontext.Value
	for i, x := range v.Versions {
		if i == 0 || !x.From.After(t) {
			out = x.Value
		}
	}
	return out
}
