package load

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/test/crash/office"
	"dukcapil.go.id/sifilma/test/demo/people"
	"dukcapil.go.id/sifilma/test/demo/sample"
)

const (
	producers = 3
	mostOpen  = 24 // requests that the office has in hand; more would only wait
)

// produce drops requests one after another; each is sent until it is answered.
// What a restore took away comes first.
func (w *World) produce(ctx, dropping context.Context, r *rand.Rand) {
	for d := w.takeLost(); d != nil; d = w.takeLost() {
		if err := w.insist(ctx, r, d); err != nil && ctx.Err() == nil {
			w.surprise("permohonan tidak diterima lagi: %v", err)
		}
	}
	for dropping.Err() == nil {
		_, _, waiting := w.Rest()
		if len(waiting) < mostOpen {
			if err := w.drop(ctx, r); err != nil && ctx.Err() == nil {
				w.surprise("permohonan tidak diterima: %v", err)
			}
		}
		_ = office.Pause(dropping, time.Duration(500+r.IntN(2000))*time.Millisecond)
	}
}

func (w *World) drop(ctx context.Context, r *rand.Rand) error {
	d, err := w.write(r)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.drops = append(w.drops, d)
	w.mu.Unlock()
	return w.insist(ctx, r, d)
}

// insist sends a drop until it is answered.
func (w *World) insist(ctx context.Context, r *rand.Rand, d *Drop) error {
	again := 0
	if r.IntN(5) == 0 {
		again = 1 // the sender is not sure that it was answered
	}
	for tries := 0; ; tries++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		ticket, err := w.send(ctx, r, d.call)
		var said *people.Problem
		if errors.As(err, &said) && said.Status < 500 && said.Status != http.StatusTooManyRequests && said.Status != http.StatusConflict {
			return err
		}
		if err != nil {
			_ = office.Pause(ctx, 300*time.Millisecond)
			continue
		}
		w.mu.Lock()
		d.Tickets = append(d.Tickets, ticket)
		if len(d.Tickets) == 1 {
			w.open = append(w.open, w.newJob(d))
		}
		w.mu.Unlock()
		if again == 0 {
			return nil
		}
		again--
	}
}

// send sends a drop once, to one of the intakes; now and then the sender hangs up
// early.
func (w *World) send(ctx context.Context, r *rand.Rand, call people.Call) (ticket string, err error) {
	patience := 15 * time.Second
	if r.IntN(6) == 0 {
		patience = time.Duration(5+r.IntN(150)) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	intakes := w.of.Addresses["intake"]
	client := people.NewProgram(intakes[r.IntN(len(intakes))], w.of.Cast.APIKey)
	var answer struct {
		Ticket string `json:"ticket"`
	}
	if _, err := client.Do(ctx, call, &answer); err != nil {
		return "", err
	}
	return answer.Ticket, nil
}

// write makes a small request.
func (w *World) write(r *rand.Rand) (*Drop, error) {
	var id uuid.UUID // of the dice, so that a seed gives the same chips
	binary.BigEndian.PutUint64(id[:8], r.Uint64())
	binary.BigEndian.PutUint64(id[8:], r.Uint64())
	key := id.String()
	base := "SAM" + strings.ToUpper(strings.ReplaceAll(key, "-", ""))[:11]
	d := &Drop{Key: key, Reference: "CR-" + base[3:], Cards: 3 + r.IntN(6)}
	list := make([]sample.Card, d.Cards)
	for i := range list {
		list[i] = sample.Card{Serial: fmt.Sprintf("%s%03d", base, i+1), Reader: fmt.Sprintf("GSX-%s-%03d", base[3:9], i+1)}
	}
	if d.Faulty = r.IntN(15) == 0; d.Faulty {
		list[1].Serial = list[0].Serial // the validator must send it back
	}
	xlsx, err := sample.CardList("Type IdGlobalScan GSX-01", list)
	if err != nil {
		return nil, err
	}
	paper := func(title, line string) []byte {
		body, e := sample.PDF(title, line)
		err = errors.Join(err, e)
		return body
	}
	letter := paper("SURAT PERMOHONAN PERSONALISASI KARTU SAM", "Nomor: 001/"+base)
	order := paper("PURCHASE ORDER", "Nomor: PO/"+base)
	pks := paper("PERJANJIAN KERJA SAMA", "Nomor: "+w.of.Cast.PKS)
	body, e := json.Marshal(map[string]any{
		"kind": "reader", "reference": d.Reference, "title": "Permohonan uji " + base, "sam_function": "R", "card_count": d.Cards,
		"machine_type": "gsx-01", "pks_number": w.of.Cast.PKS, "notes": "",
		"letter": map[string]any{"sender": w.of.Cast.Produsen, "post": "Direktur", "number": "001/" + base,
			"date": clock.Today(w.clock), "subject": "permohonan personalisasi kartu SAM"},
		"lines":           []map[string]any{{"lembaga": w.of.Cast.Lembaga, "quantity": d.Cards, "remarks": ""}},
		"purchase_orders": []map[string]any{{"number": "PO/" + base, "from": w.of.Cast.Lembaga, "to": w.of.Cast.Produsen, "reader_count": d.Cards}},
	})
	if err = errors.Join(err, e); err != nil {
		return nil, err
	}
	d.Files = map[string]string{"letter": Digest(letter), "purchase_order": Digest(order), "pks": Digest(pks), "card_list": Digest(xlsx)}
	const pdf = "application/pdf"
	d.call = people.Call{Method: http.MethodPost, Path: "/api/v1/requests", Header: map[string]string{"Idempotency-Key": key},
		Parts: []people.Part{
			{Name: "request", MediaType: "application/json", Body: body},
			{Name: "letter", File: "surat-permohonan.pdf", MediaType: pdf, Body: letter},
			{Name: "purchase_order", File: "po.pdf", MediaType: pdf, Body: order},
			{Name: "pks", File: "pks.pdf", MediaType: pdf, Body: pks},
			{Name: "card_list", File: "daftar-kartu.xlsx", MediaType: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Body: xlsx},
		}}
	return d, nil
}
