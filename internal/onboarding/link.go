package onboarding

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/google/uuid"
)

// linkMAC is how many bytes of the HMAC a link carries: 128 bits nobody can
// guess.
const linkMAC = 16

// Links derives the personal links in mails. Links are never stored: whoever
// holds the mint key can derive them again from what the ledger knows.
type Links struct {
	publicURL string
	mintKey   []byte
}

// NewLinks makes links below publicURL, derived from mintKey (32 bytes, the
// same in every process of an installation).
func NewLinks(publicURL string, mintKey []byte) Links {
	return Links{publicURL: strings.TrimSuffix(publicURL, "/"), mintKey: mintKey}
}

// Link is the link that a mint of a mail carries: PUBLIC_URL/confirm/TOKEN for a
// sign-up, PUBLIC_URL/signIn/TOKEN for a sign-in; for a welcome it is the public
// URL itself. The token names the mail and the mint number, so that it can be
// checked without being stored:
//
//	base64url( subject UUID | step | mint | HMAC-SHA-256(purpose, mail id, mint)[:16] )
func (l Links) Link(id MailID, mint int) (string, error) {
	subject, purpose, step, err := id.Parse()
	if err != nil {
		return "", err
	}
	path, ok := linkPaths(purpose)
	if !ok {
		return l.publicURL + "/", nil
	}
	who, err := uuid.Parse(subject)
	if err != nil || who.String() != subject {
		return "", errors.New("mail id: want a UUID as its subject")
	}
	return l.publicURL + path + l.token(who, purpose, step, mint), nil
}

// token is what a link ends with.
func (l Links) token(subject uuid.UUID, p Purpose, step, mint int) string {
	raw := append(make([]byte, 0, len(subject)+2*binary.MaxVarintLen32+linkMAC), subject[:]...)
	raw = binary.AppendUvarint(raw, uint64(step))
	raw = binary.AppendUvarint(raw, uint64(mint))
	raw = append(raw, l.mac(string(p), NewMailID(subject.String(), p, step), mint)[:linkMAC]...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// linkPaths is where the links of a purpose lead, if they lead anywhere.
func linkPaths(p Purpose) (path string, ok bool) {
	switch p {
	case SignUp:
		return "/confirm/", true
	case SignIn:
		return "/signIn/", true
	}
	return "", false
}

// mac derives what a mint of a mail carries.
func (l Links) mac(use string, id MailID, mint int) []byte {
	mac := hmac.New(sha256.New, l.mintKey)
	fmt.Fprintf(mac, "%s\n%s\n%d", use, id, mint)
	return mac.Sum(nil)
}

// ErrLink is returned for text that is no link's token.
var ErrLink = errors.New("this is not a link's token")

// maxToken bounds what Open looks at: more than the longest token.
const maxToken = 64

// Open takes the token of a link apart: of which mail it is, and of which mint.
// The token must be of that purpose (B2.4). [ErrLink] for anything that Link did
// not make with the same key. Whether the link still works only the ledger
// knows.
func (l Links) Open(p Purpose, token string) (id MailID, mint int, err error) {
	if len(token) > maxToken {
		return "", 0, ErrLink
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < len(uuid.UUID{})+2+linkMAC {
		return "", 0, ErrLink
	}
	subject, rest := uuid.UUID(raw[:16]), raw[16:len(raw)-linkMAC]
	step, n := binary.Uvarint(rest)
	if n <= 0 || step == 0 || step > math.MaxInt32 {
		return "", 0, ErrLink
	}
	number, m := binary.Uvarint(rest[n:])
	if m <= 0 || number == 0 || number > math.MaxInt32 {
		return "", 0, ErrLink
	}
	made := l.token(subject, p, int(step), int(number))
	if !hmac.Equal([]byte(made), []byte(token)) { // there is one way only to write it
		return "", 0, ErrLink
	}
	return NewMailID(subject.String(), p, int(step)), int(number), nil
}

// Code is the six digits that a mint of a mail carries, for people who read the
// mail on one device and wait on another. There are a million, so tries must be
// few and counted.
func (l Links) Code(id MailID, mint int) string {
	sum := l.mac("code", id, mint)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(sum)%1_000_000)
}
