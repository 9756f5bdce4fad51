// Package replay plays published exchanges through pkg/globalplatform.
package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/test/vectors"
)

// script is a card that knows one exchange by heart: it refuses to answer
// anything but the next published command.
type script struct {
	steps []step
	next  int
}

type step struct{ command, answer []byte }

// Transmit implements globalplatform.Transmitter.
func (s *script) Transmit(_ context.Context, command []byte) ([]byte, error) {
	if s.next >= len(s.steps) {
		return nil, errors.New("no more commands were published")
	}
	want := s.steps[s.next]
	s.next++
	if !bytes.Equal(command, want.command) {
		return nil, fmt.Errorf("command %d is %X, published is %X", s.next, command, want.command)
	}
	return want.answer, nil
}

// Exchange plays a published exchange through OpenSession and Session.Send with
// the given keys. Every command must come out byte for byte as published, and
// every published response must open to its published text.
func Exchange(t testing.TB, v vectors.Exchange, keys globalplatform.KeySource, o globalplatform.OpenOptions) {
	t.Helper()
	ctx := context.Background()
	if len(v.Initialize) == 0 {
		v.Initialize = append(append(vectors.Hex{0x80, 0x50, 0x00, 0x00, 0x08}, v.HostChallenge...), 0x00)
	}
	if len(v.Authenticate) == 0 {
		v.Authenticate = v.Computed.Authenticate
	}
	init, err := globalplatform.ParseCommand(v.Initialize)
	if err != nil {
		t.Fatal(err)
	}
	o.KeyVersion, o.KeyID, o.SecurityLevel = init.P1, init.P2, globalplatform.SecurityLevel(v.Level[0])
	if len(o.AID) == 0 {
		o.AID = v.Challenge.AID
	}
	if o.KeyVersion != 0 && o.KeyVersion != v.Parsed.KVN[0] {
		refusesOtherVersion(ctx, t, v, keys, o, init.Data)
		// The key version is in no MAC and in no key: let the card choose it.
		o.KeyVersion, v.Initialize[2] = 0x00, 0x00
	}
	card := play(v)
	o.HostChallenge = bytes.NewReader(init.Data)
	s, err := globalplatform.OpenSession(ctx, card, keys, o)
	if err != nil {
		t.Fatalf("%s: %v", v.ID, err)
	}
	defer s.Close()
	if got := s.Card(); got.KeyVersion != v.Parsed.KVN[0] || len(v.Parsed.I) > 0 && got.I != v.Parsed.I[0] {
		t.Errorf("%s: card says version %02X, i=%02X; published %v, %v", v.ID, got.KeyVersion, got.I, v.Parsed.KVN, v.Parsed.I)
	}
	for _, c := range v.Commands {
		send(ctx, t, s, v.ID, c)
	}
	if card.next != len(card.steps) {
		t.Errorf("%s: %d of %d commands were sent", v.ID, card.next, len(card.steps))
	}
}

// refusesOtherVersion: a card that answers with another key version than it was
// asked for is let go before it is authenticated.
func refusesOtherVersion(ctx context.Context, t testing.TB, v vectors.Exchange, keys globalplatform.KeySource, o globalplatform.OpenOptions, host []byte) {
	t.Helper()
	card := play(v)
	o.HostChallenge = bytes.NewReader(host)
	if _, err := globalplatform.OpenSession(ctx, card, keys, o); !errors.Is(err, globalplatform.ErrKeyVersion) || card.next != 1 {
		t.Errorf("%s: the answer of another key version: %v after %d commands", v.ID, err, card.next)
	}
}

// play is the card's part of an exchange.
func play(v vectors.Exchange) *script {
	card := &script{steps: []step{
		{v.Initialize, append(bytes.Clone(v.Answer), 0x90, 0x00)},
		{v.Authenticate, []byte{0x90, 0x00}},
	}}
	for _, c := range v.Commands {
		// Without a published response the card answers with an error status:
		// that one needs no response MAC and leaves the session alive.
		answer := []byte{0x6A, 0x88}
		if len(c.Response) > 0 {
			answer = append(bytes.Clone(c.Response), c.SW...)
		}
		card.steps = append(card.steps, step{c.Wrapped, answer})
	}
	return card
}

func send(ctx context.Context, t testing.TB, s *globalplatform.Session, id string, c vectors.Protected) {
	t.Helper()
	plain, err := globalplatform.ParseCommand(c.Plain)
	if err != nil {
		t.Fatal(err)
	}
	plain.Name = c.Note
	r, err := s.Send(ctx, plain)
	if len(c.Response) == 0 {
		if !globalplatform.IsNotFound(err) {
			t.Fatalf("%s: %s: %v", id, c.Note, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("%s: %s: %v", id, c.Note, err)
	}
	if !bytes.Equal(r.Data, c.Opened) {
		t.Errorf("%s: %s: opened %X, published %v", id, c.Note, r.Data, c.Opened)
	}
}
