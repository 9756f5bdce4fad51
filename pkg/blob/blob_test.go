package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

func put(t *testing.T, db *postgres.DB, r io.Reader) blob.Ref {
	t.Helper()
	var ref blob.Ref
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		ref, err = blob.Put(ctx, tx, "surat.pdf", "application/pdf", r)
		return err
	}))
	return ref
}

func content(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func TestPutAndOpen(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	for _, size := range []int{0, 1, blob.ChunkSize - 1, blob.ChunkSize, blob.ChunkSize + 1, 3*blob.ChunkSize + 7} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			want := content(size)
			ref := put(t, db, iotest.HalfReader(bytes.NewReader(want)))
			require.EqualValues(t, 7, ref.ID.Version())
			require.EqualValues(t, size, ref.Size)
			require.Equal(t, sha256.Sum256(want), ref.SHA256)
			require.Equal(t, fmt.Sprintf("%x", sha256.Sum256(want)), ref.Hash())

			r, info, err := blob.Open(t.Context(), db, ref.ID)
			require.NoError(t, err)
			require.Equal(t, ref, info.Ref)
			require.Equal(t, "surat.pdf", info.Name)
			require.Equal(t, "application/pdf", info.MediaType)
			require.NoError(t, iotest.TestReader(r, want))
			require.NoError(t, r.Close())
			_, err = r.Read(make([]byte, 1))
			require.Error(t, err, "closed")

			stat, err := blob.Stat(t.Context(), db, ref.ID)
			require.NoError(t, err)
			require.Equal(t, info, stat)
		})
	}
}

func TestUnknownFile(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	_, _, err := blob.Open(t.Context(), db, uuid.New())
	require.ErrorIs(t, err, blob.ErrNotFound)
	_, err = blob.Stat(t.Context(), db, uuid.New())
	require.ErrorIs(t, err, blob.ErrNotFound)
}

func TestFailedPutLeavesNothing(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	broken := errors.New("cable pulled")
	for name, c := range map[string]struct {
		r     io.Reader
		limit int64
		want  error
	}{
		"reader fails": {io.MultiReader(bytes.NewReader(content(2*blob.ChunkSize)), iotest.ErrReader(broken)), -1, broken},
		"too large":    {bytes.NewReader(content(2*blob.ChunkSize + 1)), 2 * blob.ChunkSize, blob.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				_, err := blob.PutMax(ctx, tx, "x", "text/plain", c.r, c.limit)
				return err
			})
			require.ErrorIs(t, err, c.want)
			var n int
			require.NoError(t, db.Get(t.Context(), &n, `SELECT (SELECT count(*) FROM blob) + (SELECT count(*) FROM blob_chunk)`))
			require.Zero(t, n)
		})
	}
}

// tamper changes stored rows as only the owner of the database can.
func tamper(t *testing.T, db *postgres.DB, query string, id uuid.UUID) {
	t.Helper()
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `ALTER TABLE blob_chunk DISABLE TRIGGER USER`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, query, id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `ALTER TABLE blob_chunk ENABLE TRIGGER USER`)
		return err
	}))
}

func TestDamageIsFoundByTheReader(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	for name, query := range map[string]string{
		"bit flipped":   `UPDATE blob_chunk SET data = set_byte(data, 5, get_byte(data, 5) # 1) WHERE blob_id = $1 AND seq = 1`,
		"chunk missing": `DELETE FROM blob_chunk WHERE blob_id = $1 AND seq = 1`,
		"chunk cut":     `UPDATE blob_chunk SET data = substring(data FROM 1 FOR 10) WHERE blob_id = $1 AND seq = 2`,
		"chunks moved":  `UPDATE blob_chunk SET seq = CASE seq WHEN 0 THEN 100 ELSE seq END WHERE blob_id = $1`,
	} {
		t.Run(name, func(t *testing.T) {
			ref := put(t, db, bytes.NewReader(content(2*blob.ChunkSize+100)))
			tamper(t, db, query, ref.ID)
			r, _, err := blob.Open(t.Context(), db, ref.ID)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, r)
			require.ErrorIs(t, err, blob.ErrDamaged)
		})
	}
}

func TestFilesNeverChange(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	ref := put(t, db, bytes.NewReader(content(10)))
	for _, query := range []string{`UPDATE blob SET name = 'x' WHERE id = $1`, `DELETE FROM blob_chunk WHERE blob_id = $1`} {
		err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, query, ref.ID)
			return err
		})
		require.ErrorContains(t, err, "never changed")
	}
}

// endless gives n zero bytes without holding them.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), e.left))
	clear(p[:n])
	e.left -= int64(n)
	return n, nil
}

func TestMemoryDoesNotGrowWithTheFile(t *testing.T) {
	db := harness.DB(t) // not parallel: it looks at the heap of the process
	const size = 64 << 20
	before := liveHeap()
	ref := put(t, db, &endless{size})
	r, _, err := blob.Open(t.Context(), db, ref.ID)
	require.NoError(t, err)
	half, err := io.CopyN(io.Discard, r, size/2)
	require.NoError(t, err)
	require.EqualValues(t, size/2, half)
	require.Less(t, liveHeap()-before, int64(8<<20), "in the middle of a file of 64 MiB")
	_, err = io.Copy(io.Discard, r)
	require.NoError(t, err)
}

func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestPutAll(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	var files []blob.Content
	for i, size := range []int{5, 0, blob.ChunkSize, 1, 2*blob.ChunkSize + 3} {
		files = append(files, blob.Content{Name: fmt.Sprint("berkas ", i), MediaType: "application/pdf", Data: content(size + i)[i:]})
	}
	var refs []blob.Ref
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		if refs, err = blob.PutAll(ctx, tx, nil); err != nil {
			return err
		}
		refs, err = blob.PutAll(ctx, tx, files)
		return err
	}))
	require.Len(t, refs, len(files))
	for i, ref := range refs {
		r, info, err := blob.Open(t.Context(), db, ref.ID)
		require.NoError(t, err)
		require.Equal(t, ref, info.Ref)
		require.Equal(t, files[i].Name, info.Name)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(files[i].Data, got), i)
	}
}

func TestReadAll(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	big := bytes.Repeat([]byte("x"), 2*blob.ChunkSize+7)
	var refs []blob.Ref
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		refs, err = blob.PutAll(ctx, tx, []blob.Content{{Name: "a", Data: []byte("satu")}, {Name: "b", Data: big}, {Name: "c"}})
		return err
	}))
	got, err := blob.ReadAll(t.Context(), db, []uuid.UUID{refs[2].ID, refs[1].ID, refs[0].ID})
	require.NoError(t, err)
	require.Empty(t, got[0])
	require.True(t, bytes.Equal(big, got[1]))
	require.Equal(t, "satu", string(got[2]))
	_, err = blob.ReadAll(t.Context(), db, []uuid.UUID{refs[0].ID, uuid.New()})
	require.ErrorIs(t, err, blob.ErrNotFound)
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `ALTER TABLE blob_chunk DISABLE TRIGGER USER`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE blob_chunk SET data = 'dua' WHERE blob_id = $1`, refs[0].ID)
		return err
	}))
	_, err = blob.ReadAll(t.Context(), db, []uuid.UUID{refs[0].ID})
	require.ErrorIs(t, err, blob.ErrDamaged)
}
