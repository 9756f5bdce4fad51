package commit

import (
	"context"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/idempotency"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

// Correct writes the correction of a request that was returned, as the client saw
// it in this version, and closes the drop. The errors are those of Submit, or a
// *web.Problem when the request is not returned or has another version.
func (w *Writer) Correct(ctx context.Context, e Entry, requestID string, version int64) (Answer, error) {
	defer e.Drop.Close()
	return w.alone(ctx, e, w.asked(e, func(ctx context.Context, tx *postgres.Tx) (request.Request, error) {
		now, err := request.Lock(ctx, tx, requestID)
		if err != nil {
			return request.Request{}, err
		}
		if now.State != request.Returned {
			return request.Request{}, NotReturned(now)
		}
		if now.Version != version {
			return request.Request{}, web.PreconditionFailed("Permohonan " + now.Ticket +
				" sudah berubah sejak Anda membacanya. Baca kembali temuannya, lalu ajukan kembali.")
		}
		if err := claim(ctx, tx, e, now.ID); err != nil {
			return request.Request{}, err
		}
		files, err := store(ctx, tx, e)
		if err != nil {
			return request.Request{}, err
		}
		return request.Correct(ctx, tx, now, e.Drop.Form, files, request.Change{Actor: e.Actor, OfficeAt: w.office.Now()})
	}))
}

// NotReturned is the answer to a correction of a request that nobody has returned.
func NotReturned(r request.Request) error {
	return web.Conflict("Permohonan " + r.Ticket + " sedang berstatus \"" + request.Machine.Label(r.State) +
		"\"; pengajuan kembali hanya untuk permohonan yang dikembalikan.").WithCode("not-returned")
}

// create writes a new request by itself: a large one, whose files stream, or
// each when the configuration wants it so.
func (w *Writer) create(ctx context.Context, e Entry) (Answer, error) {
	return w.alone(ctx, e, w.asked(e, func(ctx context.Context, tx *postgres.Tx) (request.Request, error) {
		if err := claim(ctx, tx, e, ""); err != nil {
			return request.Request{}, err
		}
		files, err := store(ctx, tx, e)
		if err != nil {
			return request.Request{}, err
		}
		return request.Create(ctx, tx, request.New{
			InstitutionID: e.Client.InstitutionID, Form: e.Drop.Form, Files: files, Actor: e.Actor,
			OfficeAt: w.office.Now(), TraceParent: e.TraceParent,
		})
	}))
}

// asked has a request written with its audit row, and answers with it.
func (w *Writer) asked(e Entry, write func(ctx context.Context, tx *postgres.Tx) (request.Request, error)) writing {
	return func(ctx context.Context, tx *postgres.Tx) (Answer, error) {
		made, err := write(ctx, tx)
		if err != nil {
			return Answer{}, running(err)
		}
		if err := audit.Record(ctx, tx, receipt(e, made)); err != nil {
			return Answer{}, err
		}
		return w.accept(made)
	}
}

// writing writes what a drop asks for and gives the answer to it.
type writing func(ctx context.Context, tx *postgres.Tx) (Answer, error)

// alone writes one drop in a transaction of its own: answer, files, request,
// timeline, audit and message. Large ones take turns, so that they leave
// connections and disk to the others.
func (w *Writer) alone(ctx context.Context, e Entry, write writing) (done Answer, err error) {
	for give := w.machine.Now().Add(w.patience); ; {
		done, err = w.once(ctx, e, write)
		if !errors.Is(err, idempotency.ErrRunning) {
			return done, err
		}
		if !w.machine.Now().Before(give) {
			return Answer{}, stillRunning()
		}
		if err := clock.Sleep(ctx, w.machine, again); err != nil {
			return Answer{}, err
		}
	}
}

// once is one try of alone.
func (w *Writer) once(ctx context.Context, e Entry, write writing) (done Answer, err error) {
	if e.Drop.Size() > smallDrop {
		select {
		case w.large <- struct{}{}:
			defer func() { <-w.large }()
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		}
	}
	err = w.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		usable, err := w.usable(ctx, tx, []Entry{e})
		if err != nil {
			return err
		}
		if !usable[e.sender()] {
			return identity.ErrBadKey
		}
		done, err = idempotency.Once(ctx, tx, e.call(), e.referenceLock(), func() (Answer, error) { return write(ctx, tx) })
		return err
	})
	return done, err
}

// claim takes the needs that a drop names before its files are stored, which would be
// written anew at each try while somebody holds one of them.
func claim(ctx context.Context, tx *postgres.Tx, e Entry, requestID string) error {
	claims := e.Drop.Form.Claims(e.Client.InstitutionID)
	claims.RequestID = requestID
	refused, err := need.Judge(ctx, tx, []need.Claims{claims})
	return errors.Join(err, errors.Join(refused...))
}

// store puts the files of a drop away, however large they are.
func store(ctx context.Context, tx *postgres.Tx, e Entry) ([]request.File, error) {
	var files []request.File
	for _, f := range e.Drop.Files {
		ref, err := blob.Put(ctx, tx, f.Name, f.MediaType, f.Content())
		if err != nil {
			return nil, fmt.Errorf("intake: storing %s: %w", f.Kind, err)
		}
		if ref.SHA256 != f.SHA256 {
			return nil, fmt.Errorf("intake: %s changed in the spool", f.Kind)
		}
		files = append(files, request.File{Kind: f.Kind, BlobID: ref.ID.String(), Name: f.Name})
	}
	return files, nil
}
