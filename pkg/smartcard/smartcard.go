// Package smartcard talks to smart cards through PC/SC (pcscd) in a way that a
// stuck card or driver can never take the station down.
//
// SCardTransmit has no time-out and cannot be cancelled, and a goroutine that
// hangs in C cannot be killed. A process can. So each reader has a child
// process that owns the PC/SC handle and does nothing but carry APDUs: it sees
// no key, no database and no rule. [ServeReader] is that child; [Reader] is the
// half in the supervisor, which starts the child, kills it when an APDU takes
// too long, and starts another after a pause. [WatchReaders] tells the
// supervisor which readers there are.
//
// The rules both halves keep:
//
//   - A command that may have reached the card and was not answered in full has
//     an unknown outcome: [ErrOutcomeUnknown]. It is never repeated here. The
//     caller finds out by reading the card.
//   - A handle belongs to one insertion of one card. When the card leaves, the
//     handle is dead for good, also when a card is back in the slot; an old
//     handle is never reconnected, because pcscd would connect it to the new
//     card.
//   - Nothing of a command or an answer is ever logged.
//
// The environment variable PCSCLITE_CSOCK_NAME, read by libpcsclite itself,
// names the socket of a pcscd other than the machine's own. The children
// inherit it.
package smartcard

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Errors of Connect and Transmit; compare with errors.Is.
var (
	// ErrOutcomeUnknown means that the command may have been carried out:
	// the answer was missing or shorter than a status word, the reader failed
	// during the exchange, or the time-out passed. The handle is dead.
	ErrOutcomeUnknown = errors.New("smartcard: outcome of the command is unknown")
	// ErrCardGone means that the card was removed, swapped or reset before
	// the command, which was not sent.
	ErrCardGone = errors.New("smartcard: card is gone")
	// ErrReaderGone means that the reader, pcscd or the reader's process is
	// away. The command was not sent.
	ErrReaderGone = errors.New("smartcard: reader is gone")
	// ErrReaderBusy means that another program, or what is left of a killed
	// child, holds the card. Nothing was sent.
	ErrReaderBusy = errors.New("smartcard: reader is held by someone else")
	// ErrCardUnusable means that a card is there but cannot be powered or
	// speaks no protocol of ours. Nothing was sent.
	ErrCardUnusable = errors.New("smartcard: card cannot be used")
	// ErrBadCommand means that the bytes are not an APDU. Nothing was sent.
	ErrBadCommand = errors.New("smartcard: not an APDU")
)

// Length limits of an APDU, ISO 7816-4 section 5.1: a header of 4 bytes, and
// the longest extended command (header, 3 bytes Lc, 65535 bytes, 2 bytes Le).
const (
	minCommand = 4
	maxCommand = 4 + 3 + 65535 + 2
)

// statusWord is the length of SW1 SW2: the shortest complete answer.
const statusWord = 2

// Kind says what an [Event] reports.
type Kind string

// Kinds of events, in the order a reader's life takes.
const (
	// ReaderReady: the slot is being watched. An Inserted follows when a card
	// is already there.
	ReaderReady Kind = "ready"
	// Inserted: a card is in the slot.
	Inserted Kind = "inserted"
	// Removed: the card of the last Inserted is no longer in the slot, or
	// can no longer be trusted to be.
	Removed Kind = "removed"
	// ReaderAway: the reader or pcscd is gone; a ReaderReady follows when it
	// is back.
	ReaderAway Kind = "reader_gone"
	// Quarantined: the reader's process was killed or died; a new one is
	// started after Event.Wait.
	Quarantined Kind = "quarantined"
)

// Event is something that happened at a reader.
type Event struct {
	Kind Kind
	// Seq numbers the insertions at this Reader, from 1, also across
	// children. Inserted and Removed of one card have the same Seq.
	Seq uint64
	// ATR is the answer to reset, for Inserted; empty when Mute.
	ATR []byte
	// Mute is set for Inserted when the card did not answer to power-up:
	// broken, or in the wrong way round.
	Mute bool
	// Wait is the pause before the next child, for Quarantined.
	Wait time.Duration
	// Detail says why, in English, for the log.
	Detail string
}

// Transmitter is what the card protocols need of a card. [Card] is one.
type Transmitter interface {
	Transmit(ctx context.Context, command []byte) ([]byte, error)
}

// IsVirtual tells whether a reader name is one of the vsmartcard driver, into
// which anyone on the network can plug a card; a production station must
// refuse it.
func IsVirtual(readerName string) bool {
	name := strings.ToLower(readerName)
	return strings.Contains(name, "virtual pcd") || strings.Contains(name, "vpcd")
}
