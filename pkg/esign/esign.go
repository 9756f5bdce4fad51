// Package esign is the port to whoever signs a PDF: people with a pen, or a service with
// certificates. What a driver has to keep is in package esigntest, as tests.
//
// A signature is asked for once. Whether a request that got no answer was carried out is
// not known: that is an outcome of its own, and the service is asked before anything is
// sent again.
package esign

import (
	"context"
	"errors"
	"fmt"
)

// Outcome is what became of a request for a signature.
type Outcome string

// The outcomes.
const (
	Signed  Outcome = "signed"  // the answer has the signed PDF
	Refused Outcome = "refused" // nothing was signed; the answer says why
	Waiting Outcome = "waiting" // somebody signs it elsewhere, and it comes back by itself
	Doubt   Outcome = "doubt"   // nobody knows; only Ask may follow
)

// Reasons of a refusal.
const (
	Away            = "away"       // nothing was sent
	WrongPassphrase = "passphrase" // it is wrong
	UnknownSigner   = "signer"     // unknown to the service, or without a valid certificate
	Denied          = "denied"     // we are: by name and password of the service
	Other           = "other"
)

// ErrCannotAsk says that a service cannot be asked about a request.
var ErrCannotAsk = errors.New("esign: cannot be asked")

// Job is a PDF to be signed.
type Job struct {
	ID   string // of this request, for ever
	Name string // of the file
	PDF  []byte
	// NIK is the signer's number of the population register, by which a service knows
	// them. It is not kept.
	NIK string
	// Passphrase opens the signer's key. A driver passes it on once and keeps it nowhere.
	Passphrase Passphrase
}

// Answer is what a driver knows of a request.
type Answer struct {
	Outcome Outcome
	PDF     []byte // signed
	// Reference is what the service calls the request, as far as it said so.
	Reference string
	Reason    string // of a refusal
	// Code is what the service said of a refusal or a doubt, as a number or word of its
	// own protocol; never its words, which may repeat what was sent.
	Code string
}

// Past is a request of before.
type Past struct {
	ID        string
	Reference string // as far as the service said so
}

// Driver has PDFs signed.
type Driver interface {
	// Name is the driver's, as it is kept with each signature.
	Name() string
	// Request asks for the signature, once. It answers Doubt for whatever it cannot tell.
	Request(ctx context.Context, j Job) Answer
	// Ask tells what became of a request; it never asks for a signature. The error is
	// ErrCannotAsk, or that the service cannot be reached; both leave things as they are.
	Ask(ctx context.Context, p Past) (Answer, error)
}

// Passphrase is a secret that no format shows.
type Passphrase []byte

// Format keeps it from being written.
func (Passphrase) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("(passphrase)")) }

// MarshalText keeps it from being written.
func (Passphrase) MarshalText() ([]byte, error) { return []byte("(passphrase)"), nil }

// Forget overwrites it.
func (p Passphrase) Forget() { clear(p) }

// Manual is signed with a pen: the PDF is printed, and its signed scan comes back at the
// counter.
type Manual struct{}

// Name implements Driver.
func (Manual) Name() string { return "manual" }

// Request implements Driver.
func (Manual) Request(context.Context, Job) Answer { return Answer{Outcome: Waiting} }

// Ask implements Driver.
func (Manual) Ask(context.Context, Past) (Answer, error) { return Answer{Outcome: Waiting}, nil }
