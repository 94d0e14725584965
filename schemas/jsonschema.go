package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

const schemaDialect = "https://json-schema.org/draft/2020-12/schema"

// JSONSchema returns the JSON Schema (draft 2020-12) of a type of event or of
// finding, as text. Events' schemas follow from the table that the decoder reads
// by, so the two agree, but for what a schema cannot say: a key that stands twice,
// bytes that are not UTF-8, the size of a record, lengths in bytes (a schema counts
// characters), whether a day exists, a time in the future, before 2000 or after 2099, which
// IPv6 addresses are well formed, and that recipient_count is not less than the
// number of recipients.
func JSONSchema(name string) ([]byte, error) {
	s := eventSchema(EventType(name))
	if s == nil {
		var err error
		if s, err = findingSchema(name); err != nil {
			return nil, err
		}
	}
	if s == nil {
		return nil, fmt.Errorf("no schema %q: use one of %s", name, strings.Join(JSONSchemaNames(), ", "))
	}
	s.Schema, s.Title = schemaDialect, "Holdfast "+name
	out, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, out, "", "  "); err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	pretty.WriteByte('\n')
	return pretty.Bytes(), nil
}

// JSONSchemaNames lists what JSONSchema knows: the types of event, then the
// findings and what else stands on a topic.
func JSONSchemaNames() []string {
	var names []string
	for _, t := range EventTypes() {
		names = append(names, string(t))
	}
	return append(names, findingNames()...)
}

// eventSchema builds a type's schema from the table of fields, or returns nil.
func eventSchema(t EventType) *jsonschema.Schema {
	fields := Fields(t)
	if fields == nil {
		return nil
	}
	s := &jsonschema.Schema{
		Type: "object", Required: []string{"type"},
		Description:   "One record of type " + string(t) + ". Fields that are not named here are kept, and not checked.",
		Properties:    map[string]*jsonschema.Schema{"type": {Const: anyOf(string(t))}},
		PropertyOrder: []string{"type"},
	}
	for i := range fields {
		f := &fields[i]
		of := f.schema()
		s.PropertyOrder = append(s.PropertyOrder, f.Name)
		if f.Required {
			s.Required = append(s.Required, f.Name)
		} else {
			of = orNull(of)
		}
		s.Properties[f.Name] = of
	}
	t.constrain(s)
	return s
}

// constrain says what Event.check does.
func (t EventType) constrain(s *jsonschema.Schema) {
	// A field that is null is absent, so each is needed as what it is.
	needs := func(name string, as *jsonschema.Schema) *jsonschema.Schema {
		return &jsonschema.Schema{Required: []string{name}, Properties: map[string]*jsonschema.Schema{name: as}}
	}
	switch t {
	case TypeSend:
		s.AnyOf = []*jsonschema.Schema{
			needs("recipients", &jsonschema.Schema{Type: "array", MinItems: new(1)}),
			needs("recipient_count", &jsonschema.Schema{Type: "integer", Minimum: new(1.0)}),
		}
	case TypeLogin:
		s.OneOf = []*jsonschema.Schema{needs("account", &jsonschema.Schema{Type: "string"}), needs("employee", &jsonschema.Schema{Type: "string"})}
	}
}

const (
	// graphicPattern is what unicode.IsGraphic accepts.
	graphicPattern = `^[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]+$`
	timePattern    = `^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`
	ipv4Pattern    = `((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`
	ipPattern      = `^(` + ipv4Pattern + `|[0-9A-Fa-f]*:[0-9A-Fa-f:]*:(` + ipv4Pattern + `|[0-9A-Fa-f]*)(%[0-9A-Za-z._~-]+)?)$`
)

// schema is the field's shape with its limits.
func (f *Field) schema() *jsonschema.Schema {
	switch f.Kind {
	case FieldIdent:
		if f.Typed {
			return &jsonschema.Schema{Type: "string", MinLength: new(1), MaxLength: new(int(f.Max)), Description: "characters that cannot be shown are kept as escapes"}
		}
		return &jsonschema.Schema{Type: "string", MinLength: new(1), MaxLength: new(int(f.Max)), Pattern: graphicPattern}
	case FieldEnum:
		return enumSchema(f.Enum...)
	case FieldInteger:
		return &jsonschema.Schema{Type: "integer", Minimum: new(0.0), Maximum: new(float64(f.Max))}
	case FieldBool:
		return &jsonschema.Schema{Type: "boolean"}
	case FieldTime:
		return &jsonschema.Schema{Type: "string", Format: "date-time", Pattern: timePattern}
	case FieldIP:
		return &jsonschema.Schema{Type: "string", Pattern: ipPattern, Description: "an IPv4 or IPv6 address; a zone is dropped"}
	case FieldStrings:
		return listSchema(f.Items, &jsonschema.Schema{Type: "string", MinLength: new(1), MaxLength: new(int(f.Max))})
	case FieldCredentials:
		return listSchema(f.Items, credentialSchema())
	case FieldContacts:
		return listSchema(f.Items, contactSchema())
	}
	return &jsonschema.Schema{Type: "string", MaxLength: new(int(f.Max))}
}

func enumSchema(values ...string) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, v := range values {
		s.Enum = append(s.Enum, v)
	}
	return s
}

func listSchema(items int, of *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "array", MaxItems: new(items), Items: of}
}

// orNull allows a null for an absent value, as the decoder does in every optional field.
func orNull(s *jsonschema.Schema) *jsonschema.Schema {
	if s.Enum != nil {
		s.Enum = append(s.Enum, nil)
	}
	s.Types, s.Type = []string{s.Type, "null"}, ""
	return s
}

func credentialSchema() *jsonschema.Schema {
	created := orNull(&jsonschema.Schema{Type: "string", Format: "date-time", Pattern: `^$|` + timePattern})
	return &jsonschema.Schema{
		Type: "object", Required: []string{"id"}, PropertyOrder: []string{"id", "kind", "created"},
		Properties: map[string]*jsonschema.Schema{
			"id":      {Type: "string", MinLength: new(1), MaxLength: new(MaxID), Pattern: graphicPattern},
			"kind":    orNull(&jsonschema.Schema{Type: "string", MaxLength: new(MaxID)}),
			"created": created,
		},
	}
}

func contactSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "object", Required: []string{"email"}, PropertyOrder: []string{"email", "role"},
		Properties: map[string]*jsonschema.Schema{
			"email": {Type: "string", MinLength: new(1), MaxLength: new(MaxAddress)},
			"role":  orNull(&jsonschema.Schema{Type: "string", MaxLength: new(MaxID)}),
		},
	}
}

func anyOf(v any) *any { return &v }

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}
