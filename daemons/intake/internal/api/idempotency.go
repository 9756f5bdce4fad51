package api

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/intake/internal/drop"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/web"
)

const longestIdempotencyKey = 255

// idempotencyKey reads the header, plain or as the quoted string of the
// Internet-Draft (draft-ietf-httpapi-idempotency-key-header).
func idempotencyKey(r *http.Request) (string, error) {
	all := r.Header.Values("Idempotency-Key")
	if len(all) != 1 {
		return "", web.BadRequest("Kepala Idempotency-Key wajib ada, satu kali. Pakai nilai baru untuk tiap permohonan, misalnya UUID, " +
			"dan nilai yang sama saat mengulang kiriman yang sama.").WithCode("idempotency-key-missing")
	}
	key := strings.TrimSpace(all[0])
	if len(key) >= 2 && strings.HasPrefix(key, `"`) && strings.HasSuffix(key, `"`) {
		key = key[1 : len(key)-1]
	}
	bad := strings.ContainsFunc(key, func(r rune) bool { return r < 0x21 || r > 0x7e })
	if key == "" || len(key) > longestIdempotencyKey || bad {
		return "", web.BadRequest("Idempotency-Key harus 1 sampai 255 karakter ASCII tanpa spasi.").WithCode("idempotency-key-malformed")
	}
	return key, nil
}

// fingerprint is the hash of what a drop says: what is asked, the form in its
// stored form, and the files' hashes in their order. The boundary of the
// multipart, the order of the keys and the names of files do not count.
func fingerprint(target string, asked any, files []*drop.File) ([]byte, error) {
	form, err := json.Marshal(asked)
	if err != nil {
		return nil, fmt.Errorf("intake: fingerprint: %w", err)
	}
	sum := sha256.New()
	put := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		_, _ = sum.Write(n[:]) // a hash never fails
		_, _ = sum.Write(b)
	}
	put([]byte(target))
	put(form)
	for _, kind := range fileKinds {
		for _, f := range files {
			if f.Kind == kind {
				put([]byte(kind))
				put(f.SHA256[:])
			}
		}
	}
	return sum.Sum(nil), nil
}

// pruneEvery is how often answers that are too old are forgotten.
const pruneEvery = time.Hour

// Prune forgets answers past their time, until ctx ends.
func (a *API) Prune(ctx context.Context) error {
	for {
		err := a.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `DELETE FROM idempotency WHERE created_at < $1`, a.machine.Now().Add(-a.cfg.KeepAnswers).UTC())
			return err
		})
		if err != nil && ctx.Err() == nil {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("old answers are not forgotten yet")
		}
		if clock.Sleep(ctx, a.machine, pruneEvery) != nil {
			return nil
		}
	}
}
