package control

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"slices"
	"strings"
)

// Token is who may use the listener on a TCP address, and for what.
type Token struct {
	Name   string
	SHA256 string   // of the token, in hex
	Scopes []string // "read", "deploy", "keys", "operate", "debug"
}

// SetTokens makes all the tokens that count from now on. Without any, whoever reaches
// the loopback address may do everything.
func (s *Server) SetTokens(all []Token) {
	byDigest := make(map[string]Token, len(all))
	for _, t := range all {
		byDigest[t.SHA256] = t
	}
	s.tokens.Store(&byDigest)
}

// scopeOf returns what a request needs; "" is nothing.
func scopeOf(r *http.Request) string {
	path := r.URL.Path
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case first == "health":
		return ""
	case first == "debug", first == "traces": // these have what clients sent
		return "debug"
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return "read"
	case slices.Contains([]string{"deploy", "deployments", "rollback", "promote", "canary"}, first):
		return "deploy"
	case first == "keys" || first == "usage":
		return "keys"
	}
	return "operate"
}

// authorize answers a request on a TCP address whose token doesn't open what it asks
// for, and reports whether it did.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) (refused bool) {
	tokens := s.tokens.Load()
	need := scopeOf(r)
	if tokens == nil || len(*tokens) == 0 {
		return false
	}
	if need == "" {
		w.Header().Set("Connection", "close") // as below
		return false
	}
	// The digest is what is looked up: how long that takes tells nothing of any token.
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(text))
	token, known := (*tokens)[hex.EncodeToString(sum[:])]
	switch {
	case !known || !strings.EqualFold(scheme, "Bearer"):
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.Header().Set("Connection", "close") // there aren't so many that anybody could keep them
		writeJSON(w, http.StatusUnauthorized, map[string]any{"message": "a bearer token of [admin.token.…] is needed"})
		return true
	case !slices.Contains(token.Scopes, need):
		writeJSON(w, http.StatusForbidden, map[string]any{"message": "the token " + token.Name + " has no scope " + need})
		return true
	}
	*r = *r.WithContext(withBearer(r.Context(), token.Name))
	return false
}

// overTCP reports whether a request came on a TCP address.
func overTCP(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && local.Network() == "tcp"
}
