package audit_test

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/sealed"
	"dukcapil.go.id/sifilma/test/harness"
)

func TestAProofHoldsByItself(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	request := uuid.New()
	own := audit.Entry{Actor: "dirjen", Action: "request.approved", Subject: request.String(), Request: request.String(), Detail: map[string]any{"catatan": "é <b>"}}
	record(t, db, own, own)
	record(t, db, some(3)...)
	record(t, db, own)
	sealAll(t, audit.NewSealer(db, 0))
	record(t, db, own)
	p, err := audit.ProofOf(t.Context(), db, request)
	require.NoError(t, err)
	require.Len(t, p.Rows, 3, "only its own")
	require.Equal(t, 1, p.Pending)
	require.NoError(t, p.Verify())
	by, keys := officeKey(t)
	_, others := officeKey(t)
	signHead(t, db, by, "2026-11-23")
	p, err = audit.ProofOf(t.Context(), db, request)
	require.NoError(t, err)
	require.NotNil(t, p.Signed)
	require.NoError(t, p.VerifySigned(keys))
	require.ErrorIs(t, p.VerifySigned(others), sealed.ErrKey)
	text, err := json.Marshal(p)
	require.NoError(t, err)
	read := func() (again audit.Proof) {
		require.NoError(t, json.Unmarshal(text, &again))
		return again
	}
	require.NoError(t, read().Verify())
	for name, damage := range map[string]func(*audit.Proof){
		"actor":   func(p *audit.Proof) { p.Rows[1].Actor = "operator" },
		"detail":  func(p *audit.Proof) { p.Rows[0].Detail = "{}" },
		"time":    func(p *audit.Proof) { p.Rows[2].At = p.Rows[2].At.Add(1000) },
		"request": func(p *audit.Proof) { p.Request = uuid.NewString() },
		"order":   func(p *audit.Proof) { p.Rows[0], p.Rows[1] = p.Rows[1], p.Rows[0] },
		"twice":   func(p *audit.Proof) { p.Rows[1] = p.Rows[0] },
		"hash":    func(p *audit.Proof) { p.Rows[0].Hash = "AB" + p.Rows[0].Hash[2:] },
		"link":    func(p *audit.Proof) { p.Rows[1].Prev = p.Rows[1].Hash },
		"head":    func(p *audit.Proof) { p.Head.Seq = 1 },
	} {
		p := read()
		damage(&p)
		require.Error(t, p.Verify(), name)
		require.Error(t, p.VerifySigned(keys), name)
	}
	for name, damage := range map[string]func(*audit.Proof){
		"signature":    func(p *audit.Proof) { p.Signed.Signature = "00" + p.Signed.Signature[2:] },
		"another head": func(p *audit.Proof) { p.Head.Hash = p.Rows[0].Hash; p.Rows = p.Rows[:2] },
	} {
		p := read()
		damage(&p)
		require.Error(t, p.VerifySigned(keys), name)
	}
}
