package esigntest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BSrE plays the eSign Client Service, which runs at its agencies only. It knows what it
// signed and was told.
type BSrE struct {
	URL                string
	Username, Password string

	mu          sync.Mutex
	how         How
	signed      map[string][]byte
	passphrases int
	server      *httptest.Server
	release     chan struct{}
}

// NewBSrE starts one, until the test ends.
func NewBSrE(t *testing.T) *BSrE {
	t.Helper()
	s := &BSrE{Username: "sifilma", Password: rand.Text(), how: Signs, signed: map[string][]byte{}, release: make(chan struct{})}
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.server.Start()
	s.URL = s.server.URL
	t.Cleanup(func() {
		close(s.release)
		s.server.Close()
	})
	return s
}

// Next implements Service.
func (s *BSrE) Next(_ *testing.T, how How) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.how = how
}

// Signatures implements Service.
func (s *BSrE) Signatures() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.signed)
}

// Passphrases implements Service.
func (s *BSrE) Passphrases() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.passphrases
}

func (s *BSrE) serve(w http.ResponseWriter, r *http.Request) {
	if name, password, ok := r.BasicAuth(); !ok || name != s.Username || password != s.Password {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodGet {
		s.mu.Lock()
		body := s.signed[r.URL.Path[len("/api/sign/download/"):]]
		s.mu.Unlock()
		if body == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(body)
		return
	}
	s.sign(w, r)
}

func (s *BSrE) sign(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	how := s.how
	s.mu.Unlock()
	if how == Elsewhere {
		http.Redirect(w, r, "/api/sign/pdf", http.StatusTemporaryRedirect)
		return
	}
	file, _, err := r.FormFile("file")
	if err != nil || r.FormValue("nik") == "" || r.FormValue("tampilan") != "invisible" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	body, _ := io.ReadAll(file)
	passphrase := r.FormValue("passphrase")
	s.mu.Lock()
	s.passphrases++
	if how == Refuses {
		s.mu.Unlock()
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"status_code": 2031, "error": "Passphrase " + passphrase + " salah"})
		return
	}
	id := fmt.Sprintf("dok-%d", len(s.signed)+1)
	signed := append(body, []byte("\n1 0 obj << /Type /Sig /ByteRange [0 1 2 3] >> endobj\n%%EOF")...)
	s.signed[id] = signed
	s.mu.Unlock()
	switch how {
	case Silent:
		select {
		case <-s.release:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case CutsOff:
		w.Header().Set("id_dokumen", id)
		w.Header().Set("Content-Length", fmt.Sprint(len(signed)))
		_, _ = w.Write(signed[:8])
		_ = http.NewResponseController(w).Flush() // the head has arrived
		panic(http.ErrAbortHandler)
	case Fails:
		w.WriteHeader(http.StatusInternalServerError)
	case Babbles:
		w.Header().Set("id_dokumen", id)
		_, _ = w.Write([]byte(`{"message": "Proses berhasil"}`))
	default:
		w.Header().Set("id_dokumen", id)
		w.Header().Set("Content-Type", "application/pdf")
		_, _ = w.Write(signed)
	}
}

// Gone is an address at which nobody listens.
func Gone(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	return address
}

// Patience is a timeout after which a silent service is given up in tests.
const Patience = time.Second
