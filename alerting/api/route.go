package api

import (
	"context"
	"net/http"
	"reflect"
)

// route is one request of the API: a line of the table, of which the handlers and the
// OpenAPI document are made. in's fields say by their tags where each comes from: path,
// query, header, cookie, or json for the body; doc describes it.
type route struct {
	method, path string
	right        Right
	id           string // operationId
	says         string // one sentence
	tag          string
	in, out      reflect.Type
	status       int
	// call answers; nil where raw does.
	call func(ctx context.Context, s *Service, p Principal, in any) (any, error)
	raw  func(h *Handler, w http.ResponseWriter, r *http.Request, p Principal, in any)
	// big bodies may have 1 MiB instead of 64 KiB.
	big bool
	// event is the media type of a stream.
	media string
	// session says that it makes or ends a session, and needs cookies.
	key bool // takes an Idempotency-Key
}

// none is the input of a request that has no fields.
type none struct{}

// empty is the answer of a request that has none.
type empty struct{}

func (empty) status() int { return http.StatusNoContent }

func ask[In, Out any](method, path string, right Right, tag, id, says string, f func(s *Service, ctx context.Context, p Principal, in *In) (Out, error)) route {
	return route{
		method: method, path: path, right: right, tag: tag, id: id, says: says, in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](),
		key: method != http.MethodGet, status: http.StatusOK,
		call: func(ctx context.Context, s *Service, p Principal, in any) (any, error) {
			return f(s, ctx, p, in.(*In))
		},
	}
}

func (r route) withBig() route         { r.big = true; return r }
func (r route) withoutKey() route      { r.key = false; return r }
func (r route) withStatus(n int) route { r.status = n; return r }
