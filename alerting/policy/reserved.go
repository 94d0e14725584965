package policy

import "slices"

// Names of decisions that no policy file makes: a person's, and those that follow from a
// case. The latter depend on what was in force when, so that promise (b) does not speak of
// them.
const (
	NameOperator  = "operator"
	NameRelapse   = "relapse"
	NameBeyond    = "beyond-one-credential"
	NameWayBack   = "way-back"
	NameProbation = "probation"
	NameExpiry    = "expiry"
)

var ofCase = []string{NameRelapse, NameBeyond, NameWayBack, NameProbation, NameExpiry}

// OfCase reports whether decisions of that name follow from a case.
func OfCase(name string) bool { return slices.Contains(ofCase, name) }
