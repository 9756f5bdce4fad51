package smartcard

import (
	"errors"
	"fmt"
	"time"

	"github.com/ebfe/scard"
)

// resourceManager is the part of PC/SC that this package uses; tests put a
// scripted one in its place.
type resourceManager interface {
	establish() (pcscContext, error)
}

// pcscContext is one PC/SC context. libpcsclite serialises the calls on one,
// so watcher and card work have their own.
type pcscContext interface {
	ListReaders() ([]string, error)
	GetStatusChange(states []scard.ReaderState, timeout time.Duration) error
	Cancel() error
	Release() error
	connect(reader string, mode scard.ShareMode, protocol scard.Protocol) (pcscCard, error)
}

// pcscCard is one card handle.
type pcscCard interface {
	ActiveProtocol() scard.Protocol
	BeginTransaction() error
	Status() (*scard.CardStatus, error)
	Transmit(command []byte) ([]byte, error)
	Disconnect(d scard.Disposition) error
}

// pcscd is the real resource manager.
type pcscd struct{}

func (pcscd) establish() (pcscContext, error) {
	ctx, err := scard.EstablishContext()
	if err != nil {
		return nil, err
	}
	return pcscdContext{ctx}, nil
}

type pcscdContext struct{ *scard.Context }

func (c pcscdContext) connect(reader string, mode scard.ShareMode, protocol scard.Protocol) (pcscCard, error) {
	card, err := c.Connect(reader, mode, protocol)
	if err != nil {
		return nil, err
	}
	return card, nil
}

// errPanic stands for a panic inside the PC/SC binding, which has several on
// odd input (empty slices, unknown protocols).
var errPanic = errors.New("smartcard: PC/SC binding panicked")

// guard runs one PC/SC call and turns a panic into an error.
func guard(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	return call()
}

// connectClass sorts the errors of the connect phase, where nothing has been
// sent to the card yet.
func connectClass(err error) class {
	var code scard.Error
	if !errors.As(err, &code) {
		return classReaderGone
	}
	switch code {
	case scard.ErrNoSmartcard, scard.ErrRemovedCard, scard.ErrResetCard:
		return classCardGone
	case scard.ErrSharingViolation:
		return classBusy
	case scard.ErrUnresponsiveCard, scard.ErrUnpoweredCard, scard.ErrUnsupportedCard,
		scard.ErrProtoMismatch, scard.ErrInvalidAtr, scard.ErrCardUnsupported:
		return classUnusable
	default:
		return classReaderGone
	}
}

// transmitClass sorts the errors of SCardTransmit. pcscd reports a removed or
// reset card before it hands the command to the driver, so these two prove
// that nothing was sent; every other error leaves the outcome open.
func transmitClass(err error) class {
	var code scard.Error
	if errors.As(err, &code) && (code == scard.ErrRemovedCard || code == scard.ErrResetCard) {
		return classCardGone
	}
	return classUnknown
}
