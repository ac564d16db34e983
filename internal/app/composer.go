package app

import (
	"bellhop/internal/mail"
	"bellhop/internal/onboarding"
)

// composer renders mails with their links and codes. It is an
// [onboarding.Composer].
type composer struct {
	renderer *mail.Renderer
	links    onboarding.Links
	policy   onboarding.Policy
}

// Compose renders the mail that h is about, with the mint h asks for.
func (c *composer) Compose(h onboarding.Held) (mail.Envelope, mail.Rendered, error) {
	_, purpose, _, err := h.Claim.Mail.Parse()
	if err != nil {
		return mail.Envelope{}, mail.Rendered{}, err
	}
	link, err := c.links.Link(h.Claim.Mail, h.NextMint())
	if err != nil {
		return mail.Envelope{}, mail.Rendered{}, err
	}
	from := c.renderer.From()
	request := mail.Request{
		Variant:   string(h.Variant),
		Locale:    h.Locale,
		To:        h.To,
		Link:      link,
		ValidFor:  c.policy.ExpiryOf(purpose),
		MessageID: mail.MessageID(string(h.Claim.Mail), from.Domain()),
		Date:      h.Created,
	}
	if h.Variant.HasCode() {
		request.Code, request.CodeValidFor = c.links.Code(h.Claim.Mail, h.NextMint()), c.policy.CodeLife
	}
	rendered, err := c.renderer.Render(request)
	return mail.Envelope{From: from.Address, To: h.To}, rendered, err
}
