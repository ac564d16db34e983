package onboarding

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
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

// Confirm is the link that a mint of a mail carries. It names the mail and the
// mint number, so that it can be checked without being stored:
//
//	base64url( subject UUID | step | mint | HMAC-SHA-256(purpose, mail id, mint)[:16] )
func (l Links) Confirm(id MailID, mint int) (string, error) {
	subject, purpose, step, err := id.Parse()
	if err != nil {
		return "", err
	}
	token, err := uuid.Parse(subject)
	if err != nil {
		return "", fmt.Errorf("mail id: want a UUID as its subject: %w", err)
	}
	raw := append(make([]byte, 0, len(token)+2*binary.MaxVarintLen32+linkMAC), token[:]...)
	raw = binary.AppendUvarint(raw, uint64(step))
	raw = binary.AppendUvarint(raw, uint64(mint))
	mac := hmac.New(sha256.New, l.mintKey)
	fmt.Fprintf(mac, "%s\n%s\n%d", purpose, id, mint)
	raw = append(raw, mac.Sum(nil)[:linkMAC]...)
	return l.publicURL + "/confirm/" + base64.RawURLEncoding.EncodeToString(raw), nil
}
