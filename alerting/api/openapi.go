package api

import (
	"net/http"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"

	"holdfast/schemas"
)

// document is as much of OpenAPI 3.1 as the API's description needs.
type document struct {
	OpenAPI    string                          `json:"openapi"`
	Info       map[string]string               `json:"info"`
	Servers    []map[string]string             `json:"servers"`
	Security   []map[string][]string           `json:"security"`
	Tags       []map[string]string             `json:"tags"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components components                      `json:"components"`
}

type components struct {
	Schemas         map[string]*jsonschema.Schema `json:"schemas"`
	SecuritySchemes map[string]map[string]string  `json:"securitySchemes"`
	Responses       map[string]response           `json:"responses"`
}

type operation struct {
	ID          string                 `json:"operationId"`
	Summary     string                 `json:"summary"`
	Description string                 `json:"description,omitempty"`
	Tags        []string               `json:"tags"`
	Parameters  []parameter            `json:"parameters,omitempty"`
	RequestBody *requestBody           `json:"requestBody,omitempty"`
	Responses   map[string]response    `json:"responses"`
	Security    *[]map[string][]string `json:"security,omitempty"`
	Right       Right                  `json:"x-right,omitempty"`
}

type parameter struct {
	Name        string             `json:"name"`
	In          string             `json:"in"`
	Description string             `json:"description"`
	Required    bool               `json:"required,omitempty"`
	Schema      *jsonschema.Schema `json:"schema"`
	Style       string             `json:"style,omitempty"`
	Explode     *bool              `json:"explode,omitempty"`
}

type requestBody struct {
	Required bool             `json:"required"`
	Content  map[string]media `json:"content"`
}

type media struct {
	Schema *jsonschema.Schema `json:"schema"`
}

type response struct {
	Ref         string            `json:"$ref,omitempty"`
	Description string            `json:"description,omitempty"`
	Headers     map[string]header `json:"headers,omitempty"`
	Content     map[string]media  `json:"content,omitempty"`
}

type header struct {
	Description string             `json:"description"`
	Schema      *jsonschema.Schema `json:"schema"`
}

func words[T ~string](list []T) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, x := range list {
		s.Enum = append(s.Enum, string(x))
	}
	return s
}

// typed are the types whose JSON is not what their Go shape says.
func typed() map[reflect.Type]*jsonschema.Schema {
	dateTime := &jsonschema.Schema{Type: "string", Format: "date-time"}
	return map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[time.Time]():           dateTime,
		reflect.TypeFor[jsontext.Value]():      {},
		reflect.TypeFor[netip.Addr]():          {Type: "string"},
		reflect.TypeFor[Role]():                words(Roles()),
		reflect.TypeFor[schemas.Stage]():       words(stages),
		reflect.TypeFor[schemas.EntityKind]():  {Type: "string"},
		reflect.TypeFor[schemas.CaseVerdict](): words(append([]schemas.CaseVerdict{""}, caseVerdicts...)),
	}
}

// OpenAPI is the document of the routes, OpenAPI 3.1. It follows from the table of routes
// and the Go types of their inputs and answers.
func OpenAPI(all []route) []byte {
	d := document{
		OpenAPI: "3.1.0",
		Info: map[string]string{"title": "Holdfast", "version": "1", "description": "Cases, statuses and acts. An act is a request in its entity's inbox: the answer tells whether it was taken. " +
			"Errors are RFC 9457 problems. Lists go on by the cursor `next`. Acts on a case carry the ETag that the person saw as If-Match; with an Idempotency-Key they are done once."},
		Servers:  []map[string]string{{"url": "/"}},
		Security: []map[string][]string{{"token": {}}, {"session": {}}},
		Paths:    map[string]map[string]operation{},
		Components: components{
			Schemas: map[string]*jsonschema.Schema{},
			SecuritySchemes: map[string]map[string]string{
				"token":   {"type": "http", "scheme": "bearer", "description": "A token, as POST /v1/tokens makes them."},
				"session": {"type": "apiKey", "in": "cookie", "name": "__Host-holdfast", "description": "The cookie of a session; \"holdfast\" where there is no TLS."},
			},
			Responses: map[string]response{},
		},
	}
	tags := map[string]bool{}
	problemRef := d.schema(reflect.TypeFor[Problem]())
	d.Components.Responses["Problem"] = response{Description: "It was not done, or not all of it is known; the code says why.", Content: map[string]media{"application/problem+json": {problemRef}}}
	for i := range all {
		r := &all[i]
		tags[r.tag] = true
		if d.Paths[r.path] == nil {
			d.Paths[r.path] = map[string]operation{}
		}
		d.Paths[r.path][strings.ToLower(r.method)] = d.operation(r)
	}
	for _, t := range sortedBy(keysOf(tags), func(s string) string { return s }) {
		d.Tags = append(d.Tags, map[string]string{"name": t})
	}
	b, err := json.Marshal(d, json.Deterministic(true))
	if err != nil {
		panic("the API cannot be described: " + err.Error()) // a test makes it
	}
	return b
}

func keysOf(m map[string]bool) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

func (d *document) operation(r *route) operation {
	op := operation{ID: r.id, Summary: r.says, Tags: []string{r.tag}, Responses: map[string]response{"default": {Ref: "#/components/responses/Problem"}}}
	switch r.right {
	case RightNone:
		op.Security = &[]map[string][]string{}
	case RightSelf:
		op.Description = "Asked of everybody who is signed in."
		if strings.HasSuffix(r.path, "/acts") && r.method == http.MethodPost {
			op.Description = "Each act is a right of its own: \"act.\" and its name."
		}
	default:
		op.Right = r.right
	}
	for i := range r.in.NumField() {
		f := r.in.Field(i)
		if f.Tag.Get("body") != "" {
			op.RequestBody = &requestBody{Required: true, Content: map[string]media{"application/json": {d.schema(f.Type)}}}
			continue
		}
		op.Parameters = append(op.Parameters, parameterOf(f))
	}
	ok := response{Description: r.says}
	switch {
	case r.media == "text/event-stream":
		ok.Content = map[string]media{r.media: {&jsonschema.Schema{Type: "string"}}}
	case r.media != "":
		ok.Content = map[string]media{r.media: {&jsonschema.Schema{Type: "object"}}}
	case r.out != nil && r.out != reflect.TypeFor[empty]():
		ok.Content = map[string]media{"application/json": {d.schema(r.out)}}
	}
	if r.out != nil && r.out.Implements(reflect.TypeFor[interface{ ETag() string }]()) {
		ok.Headers = map[string]header{"ETag": {"The version, for If-Match.", &jsonschema.Schema{Type: "string"}}}
	}
	op.Responses[strconv.Itoa(r.status)] = ok
	if r.out != nil && r.out.Implements(reflect.TypeFor[interface{ status() int }]()) && r.out != reflect.TypeFor[empty]() {
		also := ok
		also.Description = "It was taken, and waits for a second person or is being carried out."
		op.Responses["202"] = also
	}
	if ok.Headers != nil && r.method == http.MethodGet || r.media == "application/json" {
		op.Responses["304"] = response{Description: "It is as it was."}
	}
	return op
}

func parameterOf(f reflect.StructField) parameter {
	p := parameter{Description: f.Tag.Get("doc")}
	for _, in := range []string{"path", "query", "header"} {
		if name := f.Tag.Get(in); name != "" {
			p.Name, p.In = name, in
		}
	}
	p.Required = p.In == "path"
	one := &jsonschema.Schema{Type: "string"}
	switch {
	case f.Type == timeType:
		one.Format = "date-time"
	case f.Type.Kind() == reflect.Int:
		one.Type = "integer"
		least := 1.0
		one.Minimum = &least
		if most, err := strconv.ParseFloat(f.Tag.Get("max"), 64); err == nil {
			one.Maximum = &most
		}
	case f.Type.Kind() == reflect.Bool:
		one.Type = "boolean"
	case f.Tag.Get("enum") != "":
		one = words(strings.Split(f.Tag.Get("enum"), ","))
	}
	if p.Schema = one; f.Type.Kind() == reflect.Slice {
		p.Schema = &jsonschema.Schema{Type: "array", Items: one}
	}
	return p
}

var notOfSchemas = regexp.MustCompile(`[^A-Za-z0-9]+`)

// schema gives a reference to a type's schema, which it makes where it is new.
func (d *document) schema(t reflect.Type) *jsonschema.Schema {
	if s := typed()[t]; s != nil {
		return s
	}
	name := t.Name() // Page[holdfast/alerting/api.CaseLine] is PageCaseLine
	if base, of, ok := strings.Cut(name, "["); ok {
		of = strings.TrimSuffix(of, "]")
		of = of[strings.LastIndexAny(of, "./")+1:]
		name = base + strings.ToUpper(of[:1]) + of[1:]
	}
	name = notOfSchemas.ReplaceAllString(name, "")
	name = strings.ToUpper(name[:1]) + name[1:]
	if d.Components.Schemas[name] == nil {
		s, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: typed()})
		if err != nil {
			panic("the API cannot be described: " + err.Error()) // a test makes it
		}
		open(s)
		if slices.Contains([]string{"ActIn", "BulkIn"}, name) {
			s.Properties["act"].Enum = words(actNames()).Enum
		}
		d.Components.Schemas[name] = s
	}
	return &jsonschema.Schema{Ref: "#/components/schemas/" + name}
}

// open makes lists that Go may leave empty lists, as they are written.
func open(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if len(s.Types) == 2 && slices.Contains(s.Types, "array") {
		s.Types, s.Type = nil, "array"
	}
	for _, p := range s.Properties {
		open(p)
	}
	open(s.Items)
	open(s.AdditionalProperties)
}
