package detectors

import "holdfast/schemas"

// Spec is what a detector declares about itself.
type Spec struct {
	Name       string
	Version    int
	Family     schemas.Family
	Entity     schemas.EntityKind
	Technique  string // ATT&CK id
	Parameters []Parameter
}

// Parameter declares one number that an operator may set, under
// {"<detector>": {"<name>": value}} in the control value "parameters".
type Parameter struct {
	Name     string
	Unit     string
	Default  float64
	Min, Max float64
	Source   string // why the default is what it is
	at       func(*Parameters) *float64
}

// Specs lists every detector.
func Specs() []Spec {
	return []Spec{
		volumeSpec, strangersSpec, newSourceSpec, unprovenSpec, fanOutSpec, badOutcomesSpec, takeoverSpec, freshCredentialSpec, dormancySpec, churnSpec,
		bruteForceSpec, spraySpec, stuffingSpec, floodSpec, heldSpec, reachSpec, unexplainedSpec, staffLoginSpec, exposedKeySpec,
	}
}

// accountDetector looks at an account after one of its events was counted. It may
// read everything that the view shows and raise signals; it keeps no state itself.
type accountDetector interface {
	account(v *accountView)
}

// employeeDetector is the same for an employee.
type employeeDetector interface {
	employee(v *employeeView)
}

// pairDetector looks at what one entity has been told by others' facts, after a
// record was added. It must give the same answer whichever came first.
type pairDetector interface {
	pair(v *pairView)
}

var (
	accountDetectors  = []accountDetector{volume{}, strangers{}, newSource{}, fanOut{}, dormancy{}, identityChurn{}}
	employeeDetectors = []employeeDetector{reach{}, unexplained{}, staffLogin{}}
	pairDetectors     = []pairDetector{exposedKey{}}
)
