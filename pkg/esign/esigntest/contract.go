// Package esigntest is what every driver of the port esign keeps, as tests.
package esigntest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/esign"
)

// How a service behaves to the next request.
type How string

// The behaviours.
const (
	Signs     How = "signs"
	Refuses   How = "refuses" // the passphrase; it repeats what it was sent
	Silent    How = "silent"  // signs, and never answers
	CutsOff   How = "cuts off"
	Fails     How = "fails"      // an inner error after signing
	Babbles   How = "babbles"    // 200 without a PDF
	Elsewhere How = "redirected" // sends the caller elsewhere
)

// Service is the one behind a driver, as far as a test plays it.
type Service interface {
	// Next says how it behaves from now on.
	Next(t *testing.T, how How)
	// Signatures is how many it has made.
	Signatures() int
	// Passphrases is how often it was told one.
	Passphrases() int
}

var secret = rand.Text()

func job(n int) esign.Job {
	return esign.Job{ID: fmt.Sprintf("0%d", n), Name: "surat.pdf", PDF: []byte("%PDF-1.7 naskah"), NIK: "3171012345678901", Passphrase: esign.Passphrase(secret)}
}

// Contract holds a driver to the port; gone is the same where nobody listens. service is
// nil for one behind which are people.
func Contract(t *testing.T, d, gone esign.Driver, service Service) {
	t.Helper()
	require.NotEmpty(t, d.Name())
	keeps := func(t *testing.T, a esign.Answer, err error) {
		t.Helper()
		for _, text := range []string{fmt.Sprintf("%+v %#v", a, a), fmt.Sprint(err), a.Code, a.Reason, a.Reference} {
			require.NotContains(t, text, secret, "a passphrase is nowhere")
		}
	}
	if service == nil {
		a := d.Request(context.Background(), job(0))
		keeps(t, a, nil)
		require.Equal(t, esign.Waiting, a.Outcome)
		b, err := d.Ask(context.Background(), esign.Past{ID: "00"})
		require.NoError(t, err)
		require.Equal(t, esign.Waiting, b.Outcome, "it comes back by itself")
		return
	}
	a := gone.Request(t.Context(), job(9))
	keeps(t, a, nil)
	require.Equal(t, esign.Refused, a.Outcome, "nothing was sent, and nothing can have been signed")
	require.Equal(t, esign.Away, a.Reason)
	b, err := gone.Ask(t.Context(), esign.Past{ID: "09", Reference: "dok-1"})
	keeps(t, b, err)
	require.Error(t, err)
	for n, c := range []struct {
		how        How
		outcome    esign.Outcome
		signatures int
	}{
		{Signs, esign.Signed, 1}, {Refuses, esign.Refused, 0},
		{Silent, esign.Doubt, 1}, {CutsOff, esign.Doubt, 1}, {Fails, esign.Doubt, 1}, {Babbles, esign.Doubt, 1}, {Elsewhere, esign.Doubt, 0},
	} {
		t.Run(string(c.how), func(t *testing.T) {
			service.Next(t, c.how)
			before, told := service.Signatures(), service.Passphrases()
			a := d.Request(t.Context(), job(n))
			keeps(t, a, nil)
			require.Equal(t, c.outcome, a.Outcome)
			require.Equal(t, before+c.signatures, service.Signatures(), "never signed twice")
			require.LessOrEqual(t, service.Passphrases(), told+1, "passed on once")
			switch a.Outcome {
			case esign.Signed:
				require.True(t, bytes.HasPrefix(a.PDF, job(n).PDF), "what was asked for")
				require.Greater(t, len(a.PDF), len(job(n).PDF))
			case esign.Refused:
				require.NotEmpty(t, a.Reason)
				require.Empty(t, a.PDF)
			case esign.Doubt:
				require.Empty(t, a.PDF)
			}
			// Asking signs nothing, whatever the service does, and tells no passphrase.
			signed, told := service.Signatures(), service.Passphrases()
			service.Next(t, Signs)
			b, err := d.Ask(t.Context(), esign.Past{ID: job(n).ID, Reference: a.Reference})
			keeps(t, b, err)
			require.Equal(t, signed, service.Signatures())
			require.Equal(t, told, service.Passphrases())
			if a.Reference != "" && c.signatures == 1 {
				require.NoError(t, err)
				require.Equal(t, esign.Signed, b.Outcome, "what it named can be fetched")
			}
		})
	}
}
