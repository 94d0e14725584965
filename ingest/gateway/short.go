package gateway

import (
	"net/http"

	"holdfast/ingest/pressure"
)

// short says why nothing is taken at the moment: the log would be in danger.
func (g *Gateway) short() *problem {
	if g.deps.Short == nil {
		return nil
	}
	if short := g.deps.Short(); len(short) > 0 {
		s, status := short[0], http.StatusServiceUnavailable
		if s.Resource == pressure.Disk {
			status = http.StatusInsufficientStorage
		}
		return &problem{Status: status, retry: "10", Detail: "too little " + string(s.Resource) + " is left on this machine to take events: send the same body again later"}
	}
	return nil
}
