// Package sessions verifies the sessions of Bellhop in other Go services.
//
// People sign in at Bellhop, and their browser or app shows an access token to
// the services behind it: a JWT that lives for minutes, signed with a key whose
// public half Bellhop publishes. A service needs nothing but Bellhop's address
// to tell whose request it has; Bellhop is not asked for every request.
//
//	v, err := sessions.New("https://desk.example", "https://api.example", nil)
//	if err != nil {
//		log.Fatal(err)
//	}
//	http.Handle("/", v.Middleware(handler))
//
// In the handler, [FromContext] tells who is there:
//
//	claims, _ := sessions.FromContext(r.Context())
//	fmt.Fprintln(w, "account", claims.Account)
//
// # What is checked
//
// Tokens have the profile of RFC 9068, and everything about it is pinned
// (RFC 8725): the algorithm is ES256, the type "at+jwt", the header holds
// nothing else but the id of a published key. Issuer and audience are the ones
// given to [New]. Every claim is there once and of the right type, and the
// lifetime is no longer than [MaxLife].
//
// A token tells ids and times, and no names or addresses. It is valid until it
// expires: if the session is ended meanwhile, this package does not know. Keep
// that in mind for what cannot be undone, or ask Bellhop's GET /me.
//
// # Keys
//
// The keys are fetched from the issuer's /.well-known/jwks.json when the first
// token comes, and kept for as long as its Cache-Control says, but for a minute
// at least and a day at most. A token with an unknown key has them fetched
// again, at most once a minute, whoever asks. Bellhop publishes a key long
// before it signs with it, so that a change of keys refuses nobody.
//
// While the issuer cannot be reached, the keys at hand are used for [MaxStale].
// Without any, tokens are neither right nor wrong: [ErrUnavailable].
package sessions
