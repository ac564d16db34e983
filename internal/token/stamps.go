package token

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"
)

// Stamps say when a form was shown: a time in milliseconds, with an HMAC so
// that nobody can make one up. They are all equally long. A stamp is bound to
// nothing but its time, and may be used more than once.
//
// Stamps may be used concurrently.
type Stamps struct {
	hidden
	key []byte
	now func() time.Time
}

// A stamp is the time and so many bytes of the HMAC.
const (
	stampTime = 8
	stampMAC  = 16
)

// NewStamps fetches the key of all processes, or creates it. now is the clock;
// nil for time.Now.
func NewStamps(ctx context.Context, keys Keys, now func() time.Time) (*Stamps, error) {
	key, err := sharedKey(ctx, keys, "stamp")
	if err != nil {
		return nil, err
	}
	return &Stamps{key: key, now: clock(now)}, nil
}

// Make returns the stamp of this moment.
func (s *Stamps) Make() string { return s.at(s.now().UnixMilli()) }

func (s *Stamps) at(millis int64) string {
	raw := binary.BigEndian.AppendUint64(make([]byte, 0, stampTime+sha256.Size), uint64(millis))
	mac := hmac.New(sha256.New, s.key)
	mac.Write(raw)
	return encode(mac.Sum(raw)[:stampTime+stampMAC])
}

// Age returns how long ago a stamp was made. It may be a little less than
// nothing, down to minus [Leeway], if another process made it. The error wraps
// [ErrInvalid] unless Make made the stamp, to the letter.
func (s *Stamps) Age(stamp string) (time.Duration, error) {
	if len(stamp) != base64.RawURLEncoding.EncodedLen(stampTime+stampMAC) {
		return 0, fmt.Errorf("%w: not a stamp", ErrInvalid)
	}
	raw, err := base64.RawURLEncoding.DecodeString(stamp)
	if err != nil || len(raw) != stampTime+stampMAC {
		return 0, fmt.Errorf("%w: not a stamp", ErrInvalid)
	}
	millis := int64(binary.BigEndian.Uint64(raw))
	if !hmac.Equal([]byte(s.at(millis)), []byte(stamp)) {
		return 0, fmt.Errorf("%w: not our stamp", ErrInvalid)
	}
	age := s.now().Sub(time.UnixMilli(millis))
	if age < -Leeway {
		return 0, fmt.Errorf("%w: a stamp of the future", ErrInvalid)
	}
	return age, nil
}

// clock is now, or the system's.
func clock(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}
