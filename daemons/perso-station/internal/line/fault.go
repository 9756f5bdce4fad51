package line

import (
	"context"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/keyring"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/sam"
	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/smartcard"
)

// fault is what an error of the dialogue says about the card.
type fault int

const (
	faultUnknown fault = iota // nobody knows what the card did
	faultRefused              // the card clearly did not do it, or is clearly wrong
	faultKeys                 // card and HSM do not share keys
	faultStopped              // the chip has had its authentications
	faultAway                 // something of ours did not answer; the card heard nothing
	faultLot                  // faultRefused, and the others of its lot would be too
	faultType                 // the card speaks another protocol; no key was used
)

// errAway wraps errors of the database in the middle of a dialogue.
var errAway = errors.New("line: database did not answer")

func classify(p *profile.Profile, err error) fault {
	switch {
	case errors.Is(err, perso.ErrAuthenticationStopped):
		return faultStopped
	case errors.Is(err, keyring.ErrUnavailable), errors.Is(err, errAway):
		return faultAway
	case errors.Is(err, globalplatform.ErrOutcomeUnknown), errors.Is(err, smartcard.ErrOutcomeUnknown),
		errors.Is(err, globalplatform.ErrKCV):
		return faultUnknown
	case errors.Is(err, globalplatform.ErrProtocol):
		return faultType
	case globalplatform.IsAuthenticationFailure(err), errors.Is(err, globalplatform.ErrKeyVersion):
		return faultKeys
	case errors.Is(err, sam.ErrMismatch), errors.Is(err, globalplatform.ErrTransition), errors.Is(err, pkcs11.ErrSealed):
		return faultRefused
	}
	sw, ok := globalplatform.StatusOf(err)
	if !ok {
		return faultUnknown
	}
	switch p.ClassOf(uint16(sw)) {
	case profile.Stop:
		return faultLot
	case profile.Refuses, profile.Retry, profile.Wait: // of these two every try was used
		return faultRefused
	}
	return faultUnknown
}

// classify is what an error of the dialogue says about the card in hand.
func (t *task) classify(err error) fault {
	if t.kit == nil {
		return classify(&profile.Profile{}, err)
	}
	return classify(t.kit.profile, err)
}

// reason is an error as people read it: the step and the card's status word,
// never data.
func reason(what string, err error) string {
	var step *sam.StepError
	at := ""
	if errors.As(err, &step) {
		at = " pada tahap " + step.Act.Label()
	}
	sw, ok := globalplatform.StatusOf(err)
	switch {
	case ok:
		return fmt.Sprintf("%s%s (jawaban kartu %04X)", what, at, uint16(sw))
	case errors.Is(err, sam.ErrMismatch):
		return what + at + " (isi kartu berbeda)"
	case errors.Is(err, globalplatform.ErrKCV):
		return what + at + " (nilai uji kunci berbeda)"
	case errors.Is(err, context.DeadlineExceeded):
		return what + at + " (waktu habis)"
	}
	return what + at
}

// stepOf names the step an error came from.
func stepOf(err error) string {
	var step *sam.StepError
	if errors.As(err, &step) {
		return step.Act.Title()
	}
	return ""
}
