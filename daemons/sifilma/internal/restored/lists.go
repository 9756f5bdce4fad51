package restored

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

// signingKey is the name of the keys that sign lists of revoked manifests.
const signingKey = "manifest-signing"

// errLostKey says that a list is of a key that was revoked since, and nobody stands for it.
var errLostKey = errors.New("daftar itu ditandatangani dengan kunci yang sudah DICABUT: siapa pun yang memegang kunci itu dapat membuatnya. " +
	"Bila berkasnya pasti dari arsip kantor sendiri, ulangi dengan -reason yang menyebut dari mana; bila tidak pasti, jangan dipakai")

// Lists takes the list of revoked manifests that was published last before the restore.
// Without it no new one is published.
func Lists(ctx context.Context, db *postgres.DB, token []byte, by, reason string, out io.Writer) error {
	entries, err := keybook.Signing(ctx, db, signingKey)
	if err != nil {
		return err
	}
	keys, err := keybook.PublicKeys(entries)
	if err != nil {
		return err
	}
	now := time.Now()
	var r release.Recovery
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		// A list that the office itself has kept counts also when its key was revoked since;
		// but whoever has the key could have made it, so that somebody says where it is from.
		if r, err = release.Recover(ctx, tx, token, keys.Known(), release.Statement{By: by, Reason: reason, At: now}); err != nil {
			return err
		}
		if keys[r.List.KeyID].Revoked != nil && strings.TrimSpace(reason) == "" {
			return errLostKey
		}
		return nil
	})
	if err != nil {
		return plainly(err)
	}
	say := func(format string, a ...any) { _, _ = fmt.Fprintf(out, format+"\n", a...) }
	say("Daftar pencabutan nomor %d dari %s diterima: %d manifest. Daftar berikutnya terbit di atas nomor itu.", r.List.Number, wib(r.List.IssuedAt), len(r.List.Entries))
	if !now.Before(r.List.NextUpdate) {
		say("PERHATIAN: masa pakainya habis %s. Pastikan tidak ada daftar yang lebih baru; bila ditemukan, berikan juga dengan perintah yang sama.", wib(r.List.NextUpdate))
	}
	for _, number := range r.Lifted {
		say("  %s ditangguhkan atau dicabut menurut basis data, tetapi tidak pada daftar itu: aktifkan lagi bila memang sudah dilepas.", number)
	}
	tellCarried(say, r.Carried)
	return nil
}

// NoLists takes somebody's word that no list was published after the moment.
func NoLists(ctx context.Context, db *postgres.DB, by, reason string, out io.Writer) error {
	if err := db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return release.RecoverNone(ctx, tx, release.Statement{By: by, Reason: reason, At: time.Now()})
	}); err != nil {
		return plainly(err)
	}
	_, err := fmt.Fprintln(out, "Dicatat: tidak ada daftar pencabutan yang terbit sesudah saat pemulihan. Daftar baru boleh terbit lagi.")
	return err
}

// plainly says why a list is not taken.
func plainly(err error) error {
	for _, e := range []struct {
		is   error
		says string
	}{
		{release.ErrNotRestored, "basis data ini belum dinyatakan dipulihkan; jalankan dulu sifilma restored -by ... -reason ..."},
		{release.ErrNoReason, "-by wajib diisi; dengan -no-later-list juga -reason"},
		{release.ErrKeyBack, "daftar itu mencabut kunci penanda tangan yang menurut buku kunci yang dipulihkan masih sah; cabut dulu dengan sifilma keys revoke, lalu ulangi"},
		{sealed.ErrKeyRevoked, "daftar itu mencabut kunci yang menandatanganinya sendiri"},
		{manifest.ErrListOld, "daftar itu lebih tua daripada yang sudah ada di basis data; berikan yang terakhir terbit"},
		{sealed.ErrKey, "daftar itu ditandatangani dengan kunci yang tidak ada pada buku kunci; bila kuncinya dibuat sesudah saat pemulihan, catat dulu dengan sifilma keys record"},
		{sealed.ErrSignature, "tanda tangan daftar itu tidak cocok: berkasnya diubah, atau bukan dari kantor ini"},
		{sealed.ErrContent, "isi daftar itu diubah setelah ditandatangani"},
		{sealed.ErrPurpose, "berkas itu bertanda tangan, tetapi bukan daftar pencabutan"},
		{sealed.ErrForm, "berkas itu bukan daftar pencabutan (pencabutan.jws), atau rusak"},
	} {
		if errors.Is(err, e.is) {
			return fmt.Errorf("%s (%w)", e.says, err)
		}
	}
	return err
}

// tellLists says what is to be done about revocations since the last restore.
func tellLists(ctx context.Context, rd postgres.Reader, say func(format string, a ...any)) error {
	switch err := release.Recovered(ctx, rd); {
	case errors.Is(err, release.ErrUnrecovered):
		say("Daftar pencabutan: BELUM diberikan. Daftar baru tidak terbit dan bundel manifest menunggu sampai sifilma restored -revocations pencabutan.jws (yang terakhir terbit), atau -no-later-list bila memang tidak ada.")
	case err != nil:
		return err
	default:
		say("Daftar pencabutan: sudah diberikan.")
	}
	carried, err := release.CarriedRevocations(ctx, rd)
	if err != nil {
		return err
	}
	tellCarried(say, carried)
	return nil
}

func tellCarried(say func(format string, a ...any), carried []release.Carried) {
	say("Pencabutan yang perlu diulang orang: %d. Sampai diulang, semuanya tetap pada setiap daftar.", len(carried))
	words := map[string]string{manifest.Revoked: "dicabut", manifest.Suspended: "ditangguhkan"}
	for _, c := range carried {
		where := "manifest ini tidak dikenal basis data; ia tetap pada daftar"
		if c.Ticket != "" {
			where = fmt.Sprintf("ulangi pada %s baris %d", c.Ticket, c.Line)
		}
		say("  %s %s sejak %s (%s): %s", c.Number, words[c.State], wib(c.Since), c.Reason, where)
	}
}
