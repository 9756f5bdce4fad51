package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// parcel is a drop that is sent again and again: a form, three papers and a card
// list, around the No. Pengajuan, in which alone they differ.
type parcel struct {
	head, tail  []byte
	contentType string
}

// newParcel composes a drop of so many cards, its papers with so many bytes of
// picture each beside what makes them papers.
func newParcel(count, picture int) (p parcel, err error) {
	const mark = "MARK-OF-REFERENCE"
	form, err := json.Marshal(map[string]any{
		"kind": "reader", "reference": mark, "title": "Personalisasi", "sam_function": "R", "card_count": count,
		"machine_type": "GSX-01", "pks_number": "PKS/1", "notes": "",
		"letter": map[string]any{"sender": "PT Produsen Contoh", "post": "Direktur", "number": "12/DIR",
			"date": time.Now().AddDate(0, 0, -2).Format(time.DateOnly), "subject": "Permohonan"},
		"lines":           []any{map[string]any{"lembaga": "PT Bank Contoh", "quantity": count, "remarks": ""}},
		"purchase_orders": []any{map[string]any{"number": "PO-1", "from": "PT Bank Contoh", "to": "PT Produsen Contoh", "reader_count": count}},
	})
	if err != nil {
		return p, err
	}
	var cards []cardlist.Row
	for i := range count {
		cards = append(cards, cardlist.Row{Row: i + 1, Serial: fmt.Sprintf("SAM-%06d", i), ReaderSerial: fmt.Sprintf("R-%06d", i)})
	}
	var list bytes.Buffer
	if err := cardlist.WriteSheet(&list, cards); err != nil {
		return p, err
	}
	pdf := paper(picture)
	var whole bytes.Buffer
	w := multipart.NewWriter(&whole)
	for _, p := range []struct {
		name, file string
		content    []byte
	}{{"request", "", form}, {"letter", "surat.pdf", pdf}, {"purchase_order", "po.pdf", pdf}, {"pks", "pks.pdf", pdf}, {"card_list", "daftar.xlsx", list.Bytes()}} {
		disposition := fmt.Sprintf("form-data; name=%q", p.name)
		if p.file != "" {
			disposition += fmt.Sprintf("; filename=%q", p.file)
		}
		part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {disposition}})
		if err != nil {
			return parcel{}, err
		}
		if _, err := part.Write(p.content); err != nil {
			return parcel{}, err
		}
	}
	if err := w.Close(); err != nil {
		return p, err
	}
	var found bool
	p.head, p.tail, found = bytes.Cut(whole.Bytes(), []byte(mark))
	p.contentType = w.FormDataContentType()
	if !found {
		return p, errors.New("the drop has no reference")
	}
	return p, nil
}

// paper is a PDF of one page with so many bytes of picture on it, which do not
// compress, as those of a scan.
func paper(picture int) []byte {
	b := []byte("%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
		"3 0 obj<</Type/Page/Parent 2 0 R>>endobj\n")
	if picture > 0 {
		b = fmt.Appendf(b, "4 0 obj<</Length %d>>stream\n", picture)
		state := uint32(1)
		for range picture {
			state = state*1664525 + 1013904223
			b = append(b, byte(state>>24))
		}
		b = append(b, "\nendstream endobj\n"...)
	}
	return append(b, "trailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF\n"...)
}

// answer is what the intake said to a drop.
type answer struct {
	code   int
	header http.Header
	text   []byte
}

func (a answer) String() string { return fmt.Sprintf("the intake answered %d: %s", a.code, a.text) }

// send drops the parcel under a No. Pengajuan and an Idempotency-Key.
func (p *parcel) send(ctx context.Context, client *http.Client, address, key, reference, idempotency string) (a answer, err error) {
	body := bytes.Join([][]byte{p.head, p.tail}, []byte(reference))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/api/v1/requests", bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", p.contentType)
	req.Header.Set("Idempotency-Key", idempotency)
	res, err := client.Do(req)
	if err != nil {
		return a, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, text}, err
}

// launchIntake runs the real intake on a database and a virtual host, with
// settings of its section api; empty is as delivered.
func (g *ground) launchIntake(ctx context.Context, database, vhost, settings string) (*process, error) {
	ports, release, err := local.FreePorts(g.services.Postgres.Port+300, 1)
	if err != nil {
		return nil, err
	}
	defer release()
	addr := "127.0.0.1:" + strconv.Itoa(ports[0])
	db, broker := g.postgresConfig(database), g.rabbitConfig(vhost, "intake")
	path := filepath.Join(g.dir, "intake-bench.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil,
		"log_level: warn\nhttp: {addr: %q}\npostgres: {url: %q, password_file: %q}\nrabbit: {url: %q, password_file: %q}\napi: {%s}\n",
		addr, db.URL, db.PasswordFile, broker.URL, broker.PasswordFile, settings), 0o600); err != nil {
		return nil, err
	}
	return g.launch(ctx, "intake", path, "http://"+addr, nil)
}

// storedDrops counts the requests that have all that a drop writes.
func storedDrops(ctx context.Context, db *postgres.DB) (n int, err error) {
	err = db.Get(ctx, &n, `
		SELECT count(*) FROM request r
		WHERE EXISTS (SELECT FROM history h WHERE h.subject = r.id AND h.to_state = 'submitted')
		  AND EXISTS (SELECT FROM outbox o WHERE o.subject = r.id)
		  AND EXISTS (SELECT FROM audit a WHERE a.request_id = r.id)
		  AND (SELECT count(*) FROM request_file f WHERE f.request_id = r.id) = 4`)
	return n, err
}
