package vectors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"dukcapil.go.id/sifilma/pkg/globalplatform"
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

// Replay plays a published exchange through OpenSession and Session.Send with
// the given keys. Every command must come out byte for byte as published, and
// every published response must open to its published text.
func Replay(t testing.TB, v SCP03, keys globalplatform.KeySource) {
	t.Helper()
	ctx := context.Background()
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
	init, err := globalplatform.ParseCommand(v.Initialize)
	if err != nil {
		t.Fatal(err)
	}
	s, err := globalplatform.OpenSession(ctx, card, keys, globalplatform.OpenOptions{
		KeyVersion: init.P1, KeyID: init.P2, SecurityLevel: globalplatform.SecurityLevel(v.Level[0]),
		AID: v.Challenge.AID, HostChallenge: bytes.NewReader(init.Data),
	})
	if err != nil {
		t.Fatalf("%s: %v", v.ID, err)
	}
	defer s.Close()
	if got := s.Card(); !bytes.Equal([]byte{got.KeyVersion}, v.Parsed.KVN) || !bytes.Equal([]byte{got.I}, v.Parsed.I) {
		t.Errorf("%s: card says version %02X, i=%02X; published %v, %v", v.ID, got.KeyVersion, got.I, v.Parsed.KVN, v.Parsed.I)
	}
	for _, c := range v.Commands {
		plain, err := globalplatform.ParseCommand(c.Plain)
		if err != nil {
			t.Fatal(err)
		}
		plain.Name = c.Note
		r, err := s.Send(ctx, plain)
		if len(c.Response) == 0 {
			if !globalplatform.IsNotFound(err) {
				t.Fatalf("%s: %s: %v", v.ID, c.Note, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %s: %v", v.ID, c.Note, err)
		}
		if !bytes.Equal(r.Data, c.Opened) {
			t.Errorf("%s: %s: opened %X, published %v", v.ID, c.Note, r.Data, c.Opened)
		}
	}
	if card.next != len(card.steps) {
		t.Errorf("%s: %d of %d commands were sent", v.ID, card.next, len(card.steps))
	}
}
