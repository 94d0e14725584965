package schemas

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Keys of the control topic.
const (
	ControlInstallation = "installation"
	ControlPolicies     = "policies"
	ControlParameters   = "parameters"
	ControlTrial        = "trial" // versions of Trial
	ControlLevel        = "level" // a FeatureLevel
)

// Level is what the processes of an installation may write. An installation's level is
// raised by a person once every process can read what the new one brings (`holdfast
// upgrade finish`), and never lowered. Each level reads all that is below it.
type Level int

// The levels.
const (
	// LevelLayouts is an installation without a level: processes of the first release
	// may run, which refuse any layout of state but their own. State is written in it.
	LevelLayouts Level = iota
	// LevelSections has state in sections, see Section.
	LevelSections

	// LevelNewest is what this program writes in a new installation.
	LevelNewest = LevelSections
)

// levelMember begins the names of group members that know of levels.
const levelMember = "holdfast-level-"

// Member is how a process whose newest level this is names itself in its groups, so that
// others can tell whether the installation's level may be raised.
func (l Level) Member() string { return levelMember + strconv.Itoa(int(l)) }

// LevelOfMember is the newest level that a group's member knows, by its name: LevelLayouts
// for one that knows of none.
func LevelOfMember(name string) Level {
	n, err := strconv.Atoi(strings.TrimPrefix(name, levelMember))
	if err != nil || !strings.HasPrefix(name, levelMember) {
		return LevelLayouts
	}
	return Level(n)
}

// FeatureLevel is the control value "level".
type FeatureLevel struct {
	Level Level `json:"level"`
}

// ParseLevel reads the control value "level"; nil, as where it was never written, is
// LevelLayouts. A level that this program does not know is an error.
func ParseLevel(value []byte) (Level, error) {
	if value == nil {
		return LevelLayouts, nil
	}
	var f FeatureLevel
	if err := json.Unmarshal(value, &f); err != nil {
		return 0, fmt.Errorf("control value %s: %w", ControlLevel, err)
	}
	if f.Level < 0 || f.Level > LevelNewest {
		return 0, fmt.Errorf("%w: the installation's feature level is %d, this program knows levels up to %d: run the newer version", ErrStateNewer, f.Level, LevelNewest)
	}
	return f.Level, nil
}

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
