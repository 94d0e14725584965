package schemas

import (
	"reflect"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// findings are the records that Holdfast itself writes, by the name of their kind.
var findings = map[Kind]reflect.Type{
	KindSignal:     reflect.TypeFor[Signal](),
	KindDecision:   reflect.TypeFor[Decision](),
	KindStatus:     reflect.TypeFor[Status](),
	KindAction:     reflect.TypeFor[Action](),
	KindNotice:     reflect.TypeFor[Notice](),
	KindCase:       reflect.TypeFor[Case](),
	KindOfIncident: reflect.TypeFor[Incident](),
	KindOperator:   reflect.TypeFor[Operator](),
	KindGap:        reflect.TypeFor[Gap](),
	KindRejected:   reflect.TypeFor[Rejected](),
	KindRequest:    reflect.TypeFor[Request](),
	KindProposal:   reflect.TypeFor[Proposal](),
	KindAnswer:     reflect.TypeFor[Answer](),
	"change":       reflect.TypeFor[Change](), // to the platform, on no topic
}

func findingNames() []string {
	var names []string
	for kind := range findings {
		names = append(names, string(kind))
	}
	return sorted(names)
}

// words are the closed lists among a finding's fields.
func words() map[reflect.Type]*jsonschema.Schema {
	list := func(values ...any) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Enum: values} }
	return map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[EntityKind]():  list(KindAccount, KindIP, KindEmployee, KindIncident),
		reflect.TypeFor[Family]():      list(FamilyVolume, FamilyNetwork, FamilyIdentity, FamilyCredential, FamilyReputation, FamilyInsider, FamilySource),
		reflect.TypeFor[Severity]():    list(SeverityLow, SeverityMedium, SeverityHigh, SeverityCritical),
		reflect.TypeFor[Verdict]():     list(VerdictObserve, VerdictReview, VerdictThrottle, VerdictSuspend, VerdictBlock, VerdictRevoke, VerdictRelease),
		reflect.TypeFor[Verb]():        list(VerbThrottle, VerbRevoke, VerbSuspend, VerbSessions, VerbHold, VerbBlock, VerbLimit, VerbRelease, VerbRestore),
		reflect.TypeFor[Mode]():        list(ModeLive, ModeShadow, ModeHistory),
		reflect.TypeFor[Origin]():      list(OriginLive, OriginImport, OriginReplay),
		reflect.TypeFor[Stage]():       list(StageOpen, StageContained, StageRecovering, StageProbation, StageClosed),
		reflect.TypeFor[CaseVerdict](): list(CaseUndetermined, CaseCompromised, CaseExpected, CaseFalseAlarm),
		reflect.TypeFor[Basis]():       list(BasisObserved, BasisInferred, BasisSaid),
		reflect.TypeFor[time.Time]():   {Type: "string", Format: "date-time"},
		reflect.TypeFor[[]byte]():      {Type: "string", ContentEncoding: "base64"},
	}
}

// findingSchema is inferred from the finding's type; nil where there is none.
func findingSchema(name string) (*jsonschema.Schema, error) {
	t, ok := findings[Kind(name)]
	if !ok {
		return nil, nil
	}
	s, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: words()})
	if err != nil {
		return nil, err
	}
	open(s)
	s.Description = "One " + name + ". Later versions may add fields."
	return s, nil
}

// open lets objects have fields that are not declared yet, and lists not be null:
// the encoder writes an empty list as [].
func open(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	s.AdditionalProperties = nil
	if len(s.Types) == 2 && s.Types[0] == "null" && s.Types[1] == "array" {
		s.Type, s.Types = "array", nil
	}
	open(s.Items)
	for _, p := range s.Properties {
		open(p)
	}
}
