package api

import (
	"testing"

	"github.com/go-json-experiment/json"
)

// Every route is described once, under one name, and nothing of it is left without words.
func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	var d document
	if err := json.Unmarshal(OpenAPI(routes()), &d); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for path, methods := range d.Paths {
		for method, op := range methods {
			if op.ID == "" || op.Summary == "" || ids[op.ID] {
				t.Errorf("%s %s: operation %q, %q", method, path, op.ID, op.Summary)
			}
			ids[op.ID] = true
			for _, p := range op.Parameters {
				if p.Description == "" || p.In == "" {
					t.Errorf("%s %s: parameter %q says nothing", method, path, p.Name)
				}
			}
		}
	}
	if len(ids) != len(routes()) {
		t.Errorf("%d operations of %d routes", len(ids), len(routes()))
	}
}
