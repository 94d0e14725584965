package policy

import (
	"slices"

	"holdfast/schemas"
)

// Env is what a condition sees. See the package comment.
type Env struct {
	Entity   Entity   `expr:"entity"`
	Signals  []Signal `expr:"signals"`
	Family   Families `expr:"family"`
	Families int      `expr:"families"`
	Certain  bool     `expr:"certain"`
	Alone    bool     `expr:"alone"`
	Severity int      `expr:"severity"`
	Risk     float64  `expr:"risk"`
	History  History  `expr:"history"`

	None     int `expr:"none"`
	Low      int `expr:"low"`
	Medium   int `expr:"medium"`
	High     int `expr:"high"`
	Critical int `expr:"critical"`
}

// Entity is the entity that is judged.
type Entity struct {
	Kind      string `expr:"kind"`
	ID        string `expr:"id"`
	Plan      string `expr:"plan"`
	Protected bool   `expr:"protected"`
}

// Signal is one signal as a condition sees it.
type Signal struct {
	Detector   string  `expr:"detector"`
	Family     string  `expr:"family"`
	Severity   int     `expr:"severity"`
	Score      float64 `expr:"score"`
	Level      int     `expr:"level"`
	Certain    bool    `expr:"certain"`
	Observed   float64 `expr:"observed"`
	Expected   float64 `expr:"expected"`
	Threshold  float64 `expr:"threshold"`
	Unit       string  `expr:"unit"`
	Credential string  `expr:"credential"`
	Alone      bool    `expr:"alone"`
	Age        int     `expr:"age"`
}

// Families holds the highest severity of each family.
type Families struct {
	Volume     int `expr:"volume"`
	Network    int `expr:"network"`
	Identity   int `expr:"identity"`
	Credential int `expr:"credential"`
	Reputation int `expr:"reputation"`
	Insider    int `expr:"insider"`
	Source     int `expr:"source"`
}

// History is what happened to the entity before.
type History struct {
	Stops     int  `expr:"stops"`
	Releases  int  `expr:"releases"`
	Probation bool `expr:"probation"`
}

var severities = []schemas.Severity{"none", schemas.SeverityLow, schemas.SeverityMedium, schemas.SeverityHigh, schemas.SeverityCritical}

// SeverityRank orders severities: none 0, low 1, medium 2, high 3, critical 4.
func SeverityRank(s schemas.Severity) int { return max(0, slices.Index(severities, s)) }

// SeverityOf is the severity of a rank, empty where there is none.
func SeverityOf(rank int) schemas.Severity {
	if rank <= 0 || rank >= len(severities) {
		return ""
	}
	return severities[rank]
}

// NewEnv sums signals up for conditions. The slice is kept.
func NewEnv(e Entity, h History, signals []Signal) *Env {
	env := &Env{Entity: e, History: h, Signals: signals, Low: 1, Medium: 2, High: 3, Critical: 4}
	for i := range signals {
		s := &signals[i]
		if at := env.Family.of(schemas.Family(s.Family)); at != nil {
			*at = max(*at, s.Severity)
		}
		env.Certain = env.Certain || s.Certain
		env.Severity = max(env.Severity, s.Severity)
	}
	var few [8]strongest
	families := byFamily(few[:0], signals)
	env.Families, env.Risk = len(families), risk(families)
	env.Alone = alone(signals)
	return env
}

// alone reports whether one credential is the guilty one: every signal that names one names
// it, one of them saw the account's others do as they always do, and none is about a person
// who signed in.
func alone(signals []Signal) bool {
	credential, others := "", false
	for i := range signals {
		s := &signals[i]
		switch family := schemas.Family(s.Family); {
		case family == schemas.FamilyIdentity || family == schemas.FamilyInsider || family == schemas.FamilyCredential:
			return false
		case s.Credential == "":
			continue
		case credential != "" && credential != s.Credential:
			return false
		}
		credential, others = s.Credential, others || s.Alone
	}
	return others
}

func (f *Families) of(name schemas.Family) *int {
	switch name {
	case schemas.FamilyVolume:
		return &f.Volume
	case schemas.FamilyNetwork:
		return &f.Network
	case schemas.FamilyIdentity:
		return &f.Identity
	case schemas.FamilyCredential:
		return &f.Credential
	case schemas.FamilyReputation:
		return &f.Reputation
	case schemas.FamilyInsider:
		return &f.Insider
	case schemas.FamilySource:
		return &f.Source
	}
	return nil
}
