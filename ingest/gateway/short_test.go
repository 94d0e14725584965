package gateway

import (
	"net/http"
	"strings"
	"testing"

	"holdfast/ingest/intake"
	"holdfast/ingest/intake/intaketest"
	"holdfast/ingest/pressure"
)

// While too little is left nothing is taken, and the status says what of; with room
// again the same body is.
func TestTooLittleIsLeft(t *testing.T) {
	var short []pressure.Shortage
	writer := intaketest.Producer(t, &intaketest.Broker{Lanes: 1}, intake.Config{})
	g := handler(t, Config{}, Deps{Writer: writer, Short: func() []pressure.Shortage { return short }})
	for _, c := range []struct {
		short []pressure.Shortage
		want  int
	}{
		{[]pressure.Shortage{{Resource: pressure.Disk}, {Resource: pressure.Memory}}, http.StatusInsufficientStorage},
		{[]pressure.Shortage{{Resource: pressure.Memory}}, http.StatusServiceUnavailable},
		{[]pressure.Shortage{{Resource: pressure.Files}}, http.StatusServiceUnavailable},
		{nil, http.StatusOK},
	} {
		short = c.short
		w := post(g, strings.NewReader(strings.ReplaceAll(login, "%d", "1")))
		if w.Code != c.want || (c.want != http.StatusOK) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("short of %v: %d %s", c.short, w.Code, w.Body)
		}
	}
}
