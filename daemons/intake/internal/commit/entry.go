package commit

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"

	"dukcapil.go.id/sifilma/daemons/intake/internal/drop"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/idempotency"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Entry is a drop that was read and found whole, to be written.
type Entry struct {
	Client identity.Client
	Actor  machine.Actor
	// By is who sent it, as the audit names them: an API key or a person.
	By string
	// AccountID is the person's, when it was filled in on a page; empty for software.
	AccountID string
	// Key is the client's Idempotency-Key, Print the hash of what the drop says.
	Key   string
	Print []byte
	Drop  *drop.Drop
	// TraceParent of the call that brought the drop.
	TraceParent string
}

// sender is the id of the API key, or of the person's account.
func (e Entry) sender() string {
	if e.AccountID != "" {
		return e.AccountID
	}
	return e.Client.KeyID
}

// call is the drop as it is asked under its key.
func (e Entry) call() idempotency.Call {
	return idempotency.Call{Client: e.Client.InstitutionID, Key: e.Key, Print: e.Print}
}

// referenceLock is claimed beside the key: of two drops with one No. Pengajuan the
// second is to see the first.
func (e Entry) referenceLock() string {
	return "reference:" + e.Client.InstitutionID + ":" + e.Drop.Form.Reference
}

// Answer is what a client is told, and told again under the same key.
type Answer = idempotency.Answer

// Accepted is the body of a 202.
type Accepted struct {
	ID         string `json:"id"`
	Ticket     string `json:"ticket"`
	StatusURL  string `json:"status_url"`
	Submission int    `json:"submission"`
}

// stillRunning is the answer to a drop whose key another call holds, and has held
// for longer than a client is to wait.
func stillRunning() error { return idempotency.StillRunning(retry, "No. Pengajuan") }

// accept is the answer to a drop that became, or corrected, a request.
func (w *Writer) accept(r request.Request) (Answer, error) {
	path := "/api/v1/requests/" + r.Ticket
	body, err := json.Marshal(Accepted{ID: r.ID, Ticket: r.Ticket, StatusURL: w.publicURL + path, Submission: r.Submission})
	if err != nil {
		return Answer{}, fmt.Errorf("intake: answer: %w", err)
	}
	return Answer{Status: http.StatusAccepted, Location: path, Body: body}, nil
}

// receipt is the audit row of a drop.
func receipt(e Entry, r request.Request) audit.Entry {
	hashes := map[string]any{}
	for i, f := range e.Drop.Files {
		hashes[fmt.Sprintf("%02d %s", i+1, f.Kind)] = hex.EncodeToString(f.SHA256[:])
	}
	action := "request.submit"
	if r.Submission > 1 {
		action = "request.resubmit"
	}
	return audit.Entry{
		Actor: e.By, Action: action, Subject: r.ID, Request: r.ID,
		Detail: map[string]any{"ticket": r.Ticket, "reference": r.Reference, "submission": r.Submission, "files_sha256": hashes},
	}
}
