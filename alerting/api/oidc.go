package api

import "net/http"

// OIDC signs people in by a provider.
type OIDC struct{}

func (h *Handler) serveOIDCStart(w http.ResponseWriter, r *http.Request, _ Principal, _ any) {
	h.fail(w, r, notFound("no provider is configured"))
}

func (h *Handler) serveOIDCBack(w http.ResponseWriter, r *http.Request, _ Principal, _ any) {
	h.fail(w, r, notFound("no provider is configured"))
}
