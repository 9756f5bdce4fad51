package bsre_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/esign"
)

// silent is an address whose machine answers nothing, as one that is off or behind a
// firewall: its queue of connections is full.
func silent(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	name, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port) //nolint:forcetypeassert // as it was bound
	for {
		c, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
		if err != nil {
			return "http://" + address
		}
		t.Cleanup(func() { _ = c.Close() })
	}
}

// TestAServiceThatDoesNotAnswerACallIsAway: nothing was sent, so nothing is in doubt.
func TestAServiceThatDoesNotAnswerACallIsAway(t *testing.T) {
	t.Parallel()
	job := esign.Job{ID: "1", Name: "x.pdf", PDF: []byte("%PDF-1.7"), NIK: "3171012345678901", Passphrase: esign.Passphrase("x")}
	a := driver(t, silent(t), "x").Request(t.Context(), job)
	require.Equal(t, esign.Answer{Outcome: esign.Refused, Reason: esign.Away}, a)

	stranger := httptest.NewTLSServer(http.NotFoundHandler()) // whose certificate nobody vouches for
	t.Cleanup(stranger.Close)
	a = driver(t, stranger.URL, "x").Request(t.Context(), job)
	require.Equal(t, esign.Answer{Outcome: esign.Refused, Reason: esign.Away}, a)
}
