// Package blob keeps files in PostgreSQL: immutable, in chunks of 256 KiB, named by a
// UUIDv7 and sealed by their SHA-256. Both ways stream: memory does not grow with the
// file. A reader learns only at the end whether the content was whole, so whoever
// passes it on must treat an error of the last Read as "the file is damaged".
package blob

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// ChunkSize is the size in bytes of every chunk but the last.
const ChunkSize = 256 << 10

var (
	// ErrNotFound says that there is no such file.
	ErrNotFound = errors.New("blob: no such file")
	// ErrDamaged says that the stored content is not what was put in.
	ErrDamaged = errors.New("blob: the stored content is damaged")
	// ErrTooLarge says that the input was longer than PutMax allows.
	ErrTooLarge = errors.New("blob: the file is too large")
)

// Ref names a stored file.
type Ref struct {
	ID     uuid.UUID
	SHA256 [sha256.Size]byte
	Size   int64 // bytes
}

// Hash returns the SHA-256 in lower-case hex.
func (r Ref) Hash() string { return hex.EncodeToString(r.SHA256[:]) }

// Info describes a stored file.
type Info struct {
	Ref
	Name      string
	MediaType string
	CreatedAt time.Time
}

// chunks are the buffers of Put: most files are far smaller than one.
var chunks = sync.Pool{New: func() any { return new([ChunkSize]byte) }}

// Put stores what r gives, to its end, in the caller's transaction. Spool slow input
// such as an upload to a local file first: the transaction stays open meanwhile.
func Put(ctx context.Context, tx *postgres.Tx, name, mediaType string, r io.Reader) (Ref, error) {
	return PutMax(ctx, tx, name, mediaType, r, -1)
}

// PutMax is Put that gives up with ErrTooLarge beyond limit bytes; a negative limit is none.
func PutMax(ctx context.Context, tx *postgres.Tx, name, mediaType string, r io.Reader, limit int64) (Ref, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Ref{}, fmt.Errorf("blob: %w", err)
	}
	ref := Ref{ID: id}
	sum := sha256.New()
	chunk := chunks.Get().(*[ChunkSize]byte)
	defer chunks.Put(chunk)
	buf := chunk[:]
	seq := 0
	for {
		n, rerr := io.ReadFull(r, buf)
		if rerr != nil && !errors.Is(rerr, io.EOF) && !errors.Is(rerr, io.ErrUnexpectedEOF) {
			return Ref{}, fmt.Errorf("blob: read %q: %w", name, rerr)
		}
		if n > 0 {
			ref.Size += int64(n)
			if limit >= 0 && ref.Size > limit {
				return Ref{}, ErrTooLarge
			}
			_, _ = sum.Write(buf[:n]) // a hash never fails
			err := tx.ExecOne(ctx, `INSERT INTO blob_chunk (blob_id, seq, data) VALUES ($1, $2, $3)`, id, seq, buf[:n])
			if err != nil {
				return Ref{}, fmt.Errorf("blob: chunk %d: %w", seq, err)
			}
			seq++
		}
		if rerr != nil {
			break
		}
	}
	sum.Sum(ref.SHA256[:0])
	// Rows never change, so the file's own row comes last; the chunks' foreign key is deferred.
	err = tx.ExecOne(ctx, `INSERT INTO blob (id, sha256, size, media_type, name, chunks, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, id, ref.SHA256[:], ref.Size, mediaType, name, seq, time.Now().UTC())
	if err != nil {
		return Ref{}, fmt.Errorf("blob: %w", err)
	}
	return ref, nil
}

// Content is a file to be put away whole.
type Content struct {
	Name      string
	MediaType string
	Data      []byte
}

// PutAll stores small files with two statements, however many. All of them, and
// what the wire makes of them, are in memory at once.
func PutAll(ctx context.Context, tx *postgres.Tx, files []Content) ([]Ref, error) {
	if len(files) == 0 {
		return nil, nil
	}
	refs := make([]Ref, len(files))
	ids, mediaTypes, names := make([]string, len(files)), make([]string, len(files)), make([]string, len(files))
	hashes, sizes, counts := make([][]byte, len(files)), make([]int64, len(files)), make([]int64, len(files))
	var of []string
	var seqs []int64
	var data [][]byte
	for i, f := range files {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("blob: %w", err)
		}
		refs[i] = Ref{ID: id, SHA256: sha256.Sum256(f.Data), Size: int64(len(f.Data))}
		ids[i], mediaTypes[i], names[i] = id.String(), f.MediaType, f.Name
		hashes[i], sizes[i] = refs[i].SHA256[:], refs[i].Size
		for part := range slices.Chunk(f.Data, ChunkSize) {
			of, seqs, data = append(of, ids[i]), append(seqs, counts[i]), append(data, part)
			counts[i]++
		}
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO blob (id, sha256, size, media_type, name, chunks, created_at)
		SELECT f.*, $7 FROM unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::text[], $5::text[], $6::int[]) AS f`,
		pq.Array(ids), pq.Array(hashes), pq.Array(sizes), pq.Array(mediaTypes), pq.Array(names), pq.Array(counts),
		time.Now().UTC()); err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	if len(of) == 0 {
		return refs, nil
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO blob_chunk (blob_id, seq, data) SELECT * FROM unnest($1::uuid[], $2::int[], $3::bytea[])`,
		pq.Array(of), pq.Array(seqs), pq.Array(data)); err != nil {
		return nil, fmt.Errorf("blob: chunks: %w", err)
	}
	return refs, nil
}

// Stat describes the file without reading it; ErrNotFound when there is none.
func Stat(ctx context.Context, r postgres.Reader, id uuid.UUID) (Info, error) {
	row, err := stat(ctx, r, id)
	return row.info(), err
}

type blobRow struct {
	ID        uuid.UUID `db:"id"`
	SHA256    []byte    `db:"sha256"`
	Size      int64     `db:"size"`
	MediaType string    `db:"media_type"`
	Name      string    `db:"name"`
	Chunks    int       `db:"chunks"`
	CreatedAt time.Time `db:"created_at"`
}

func (b blobRow) info() Info {
	i := Info{Ref: Ref{ID: b.ID, Size: b.Size}, Name: b.Name, MediaType: b.MediaType, CreatedAt: b.CreatedAt.UTC()}
	copy(i.SHA256[:], b.SHA256)
	return i
}

func stat(ctx context.Context, r postgres.Reader, id uuid.UUID) (blobRow, error) {
	var row blobRow
	err := r.Get(ctx, &row, `SELECT id, sha256, size, media_type, name, chunks, created_at FROM blob WHERE id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return row, ErrNotFound
	}
	if err != nil {
		return row, fmt.Errorf("blob: %w", err)
	}
	return row, nil
}

// Open returns the content of the file from its beginning. Its Read fails with
// ErrDamaged instead of io.EOF when size, chunk count or SHA-256 do not fit.
func Open(ctx context.Context, r postgres.Reader, id uuid.UUID) (io.ReadCloser, Info, error) {
	row, err := stat(ctx, r, id)
	if err != nil {
		return nil, Info{}, err
	}
	return &reader{ctx: ctx, db: r, row: row, sum: sha256.New()}, row.info(), nil
}

// ReadAll returns the whole content of files with two queries, however many, in the order
// of ids; all of them are in memory at once. Errors: ErrNotFound, ErrDamaged.
func ReadAll(ctx context.Context, r postgres.Reader, ids []uuid.UUID) ([][]byte, error) {
	named := make([]string, len(ids))
	for i, id := range ids {
		named[i] = id.String()
	}
	var rows []blobRow
	if err := r.Select(ctx, &rows, `SELECT id, sha256, size, media_type, name, chunks, created_at FROM blob WHERE id = ANY ($1::uuid[])`, pq.Array(named)); err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	var chunks []struct {
		ID   uuid.UUID `db:"blob_id"`
		Data []byte    `db:"data"`
	}
	if err := r.Select(ctx, &chunks, `SELECT blob_id, data FROM blob_chunk WHERE blob_id = ANY ($1::uuid[]) ORDER BY blob_id, seq`, pq.Array(named)); err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	content := make(map[uuid.UUID][]byte, len(rows))
	for _, c := range chunks {
		content[c.ID] = append(content[c.ID], c.Data...)
	}
	sums := make(map[uuid.UUID][]byte, len(rows))
	for _, b := range rows {
		sums[b.ID] = b.SHA256
	}
	out := make([][]byte, len(ids))
	for i, id := range ids {
		want, is := sums[id]
		if !is {
			return nil, fmt.Errorf("%w: %s", ErrNotFound, id)
		}
		out[i] = content[id]
		if sum := sha256.Sum256(out[i]); subtle.ConstantTimeCompare(sum[:], want) != 1 {
			return nil, fmt.Errorf("%w: %s", ErrDamaged, id)
		}
	}
	return out, nil
}

// reader fetches one chunk at a time.
type reader struct {
	ctx  context.Context // of Open: io.Reader has no place for one
	db   postgres.Reader
	row  blobRow
	sum  hash.Hash
	next int    // the chunk to fetch
	left []byte // what is not yet given out of the present chunk
	read int64
	err  error // sticky
}

// Read gives the next bytes of the file.
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.left) == 0 && r.err == nil {
		r.fetch()
	}
	if len(r.left) == 0 {
		return 0, r.err
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

func (r *reader) fetch() {
	if r.next == r.row.Chunks {
		r.err = io.EOF
		if r.read != r.row.Size || subtle.ConstantTimeCompare(r.sum.Sum(nil), r.row.SHA256) != 1 {
			r.err = fmt.Errorf("%w: %s", ErrDamaged, r.row.ID)
		}
		return
	}
	var data []byte
	err := r.db.Get(r.ctx, &data, `SELECT data FROM blob_chunk WHERE blob_id = $1 AND seq = $2`, r.row.ID, r.next)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		r.err = fmt.Errorf("%w: %s lacks chunk %d", ErrDamaged, r.row.ID, r.next)
	case err != nil:
		r.err = fmt.Errorf("blob: %s: %w", r.row.ID, err)
	default:
		_, _ = r.sum.Write(data) // a hash never fails
		r.read += int64(len(data))
		r.left = data
		r.next++
	}
}

// Close ends the reading; it never fails.
func (r *reader) Close() error {
	r.left, r.err = nil, io.ErrClosedPipe
	return nil
}
