package config

import (
	"fmt"
	"strings"
	"time"
)

// Accounts are serve's settings of what happens after a sign-up: confirming,
// signing in, staying in, and being forgotten.
type Accounts struct {
	SignInExpiry time.Duration `name:"sign-in-expiry" var:"BELLHOP_SIGN_IN_EXPIRY" default:"15m" placeholder:"TIME" group:"accounts" help:"How long a sign-in mail is worth sending, and how long its link works once it is sent. The links of confirmation mails work for --mail-expiry."`
	CodeExpiry   time.Duration `name:"code-expiry" var:"BELLHOP_CODE_EXPIRY" default:"15m" placeholder:"TIME" group:"accounts" help:"How long the six digits in a mail can be typed once it is sent. Five tries are all there are, whatever is set here."`
	SessionIdle  time.Duration `name:"session-idle" var:"BELLHOP_SESSION_IDLE" default:"168h" placeholder:"TIME" group:"accounts" help:"How long a session lasts that nobody uses."`
	SessionLife  time.Duration `name:"session-life" var:"BELLHOP_SESSION_LIFE" default:"720h" placeholder:"TIME" group:"accounts" help:"How long a session lasts at most. After that the person signs in again."`
	AccessLife   time.Duration `name:"access-life" var:"BELLHOP_ACCESS_LIFE" default:"15m" placeholder:"TIME" group:"accounts" help:"How long an app's access token works (1m to 1h). Your own services verify it without asking Bellhop, so this is how long they take somebody for signed in who has signed out."`
	Audience     string        `name:"token-audience" var:"BELLHOP_TOKEN_AUDIENCE" placeholder:"NAME" group:"accounts" help:"Whom access tokens are for (aud): the name that your services expect in them." fallback:"the public URL"`
	KeyRotation  time.Duration `name:"key-rotation" var:"BELLHOP_KEY_ROTATION" default:"2160h" placeholder:"TIME" group:"accounts" help:"How old a key grows that signs access tokens (24h or more). The next one is published an hour before it signs, and the old one for as long as its tokens work: nobody has to do anything."`

	UnconfirmedRetention time.Duration `name:"unconfirmed-retention" var:"BELLHOP_UNCONFIRMED_RETENTION" default:"336h" placeholder:"TIME" group:"accounts" help:"How long a sign-up is kept that nobody confirms. After that it is erased, as bellhop erase does."`
}

const (
	shortestAccess, longestAccess = time.Minute, time.Hour
	// longestSignIn leaves time for the code in a mail that waited so long: who
	// asked can type it for an hour.
	longestSignIn = 30 * time.Minute
	// pendingLife is how long a sign-up's page can ask for another mail.
	pendingLife = 72 * time.Hour
	// shortestIdle is some times as long as between two marks of a session's use.
	shortestIdle     = 10 * time.Minute
	shortestRotation = 24 * time.Hour
)

// checkAccounts looks at each setting, and at those that must fit together.
func (s *Serve) checkAccounts(f *Faults) {
	before := len(*f)
	if s.SessionIdle < shortestIdle {
		f.add("session-idle", fmt.Sprintf("want 10m or more, got %v", s.SessionIdle), "a use is noted once a minute; 168h suit most")
	}
	for _, setting := range []struct {
		flag  string
		value time.Duration
	}{
		{"sign-in-expiry", s.SignInExpiry}, {"code-expiry", s.CodeExpiry},
		{"session-life", s.SessionLife}, {"unconfirmed-retention", s.UnconfirmedRetention},
	} {
		checkPositive(f, setting.flag, setting.value)
	}
	if len(*f) == before && s.MailExpiry > 0 {
		s.checkOrder(f)
	}
	if s.AccessLife < shortestAccess || s.AccessLife > longestAccess {
		f.add("access-life", fmt.Sprintf("want 1m to 1h, got %v", s.AccessLife), "15m suit most; a session that lasts longer is refreshed")
	}
	if s.KeyRotation < shortestRotation {
		f.add("key-rotation", fmt.Sprintf("want 24h or more, got %v", s.KeyRotation), "write for example 2160h, which is 90 days; bellhop keys rotate does it at once")
	}
	if strings.ContainsFunc(s.Audience, func(r rune) bool { return r <= ' ' || r > '~' }) {
		f.add("token-audience", fmt.Sprintf("want visible ASCII without spaces, got %q", s.Audience), "write for example https://api.example.com")
	}
}

// checkOrder looks at times of which one must not be longer than the other.
func (s *Serve) checkOrder(f *Faults) {
	for _, pair := range []struct {
		short, long string
		a, b        time.Duration
		why         string
	}{
		{"session-idle", "session-life", s.SessionIdle, s.SessionLife, "a session ends then in any case"},
		{"access-life", "session-life", s.AccessLife, s.SessionLife, "a token would outlive its session"},
		{"code-expiry", "sign-in-expiry", s.CodeExpiry, s.SignInExpiry, "the code is in the same mail as the link, and easier to guess"},
	} {
		if pair.a > pair.b {
			f.add(pair.short, fmt.Sprintf("%v are longer than --%s, which is %v, and %s", pair.a, pair.long, pair.b, pair.why),
				"make this shorter, or --"+pair.long+" longer")
		}
	}
	// A mail may be asked for until the pending session ends, leave when it is
	// about to expire, and its link lives as long again.
	if last := pendingLife + 2*s.MailExpiry; last > s.UnconfirmedRetention {
		f.add("unconfirmed-retention", fmt.Sprintf("%v is shorter than the %v for which a link may live", s.UnconfirmedRetention, last),
			"make this longer, or --mail-expiry shorter")
	}
	if s.SignInExpiry > longestSignIn {
		f.add("sign-in-expiry", fmt.Sprintf("want %v or less, got %v", longestSignIn, s.SignInExpiry), "write for example 15m")
	}
}
