package smtptest

import (
	"crypto/subtle"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
)

var _ gosmtp.AuthSession = (*session)(nil)

// AuthMechanisms is what EHLO offers: nothing without a user.
func (s *session) AuthMechanisms() []string {
	if s.server.options.User == "" {
		return nil
	}
	return s.server.options.Mechanisms
}

// Auth begins a login.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, user, password string) error { return s.login(user, password) }), nil
	case sasl.Login:
		return &loginServer{check: s.login}, nil
	}
	return nil, gosmtp.ErrAuthUnknownMechanism
}

func (s *session) login(user, password string) error {
	o := s.server.options
	if subtle.ConstantTimeCompare([]byte(user+"\x00"+password), []byte(o.User+"\x00"+o.Password)) != 1 {
		return gosmtp.ErrAuthFailed
	}
	return nil
}

// loginServer is the server's side of AUTH LOGIN, which go-sasl has not got.
type loginServer struct {
	check func(user, password string) error
	user  []byte
}

// Next takes the user name, which may come with the command, then the password.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case response == nil:
		return []byte("Username:"), false, nil
	case l.user == nil:
		l.user = append([]byte{}, response...)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(string(l.user), string(response))
}
