package story

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/test/demo/people"
	"dukcapil.go.id/sifilma/test/demo/sample"
)

// Order is what a sample request asks for.
type Order struct {
	Produsen, Lembaga, PKS, Title string
	Cards                         int
	Today                         clock.Date
}

func base(key string) string { return "SAM" + strings.ToUpper(strings.ReplaceAll(key, "-", ""))[:11] }

// Serial is the n-th printed serial of the request with this idempotency key.
func Serial(key string, n int) string { return fmt.Sprintf("%s%03d", base(key), n) }

// Parts are the parts of a new request as the intake takes them: its data, letter,
// purchase order, PKS and card list. key is its idempotency key.
func (o Order) Parts() (key string, parts []people.Part, err error) {
	key = uuid.NewString()
	// Serials are unique for ever, so each sample has its own: S and eleven
	// digits of the key.
	base := base(key)
	list := make([]sample.Card, o.Cards)
	for i := range list {
		list[i] = sample.Card{Serial: Serial(key, i+1), Reader: fmt.Sprintf("GSX-%s-%03d", base[3:9], i+1)}
	}
	xlsx, err := sample.CardList("Type IdGlobalScan GSX-01", list)
	if err != nil {
		return "", nil, err
	}
	reference := "PC-" + base[3:]
	poNumber, letterNumber := "PO/"+base[3:], "001/PC/"+base[3:]
	letter, err := sample.PDF("SURAT PERMOHONAN PERSONALISASI KARTU SAM", "Nomor: "+letterNumber, "Kepada Yth. Direktur Jenderal Kependudukan dan Pencatatan Sipil",
		fmt.Sprintf("Bersama ini kami mengajukan personalisasi %d keping kartu SAM.", o.Cards))
	if err != nil {
		return "", nil, err
	}
	order, err := sample.PDF("PURCHASE ORDER", "Nomor: "+poNumber, fmt.Sprintf("%s memesan %d unit reader KTP-el dari %s.", o.Lembaga, o.Cards, o.Produsen))
	if err != nil {
		return "", nil, err
	}
	pks, err := sample.PDF("PERJANJIAN KERJA SAMA", "Nomor: "+o.PKS, "Antara Ditjen Dukcapil dan "+o.Lembaga)
	if err != nil {
		return "", nil, err
	}
	body, err := json.MarshalIndent(map[string]any{
		"kind": "reader", "reference": reference, "title": o.Title, "sam_function": "R", "card_count": o.Cards,
		"machine_type": "gsx-01", "pks_number": o.PKS, "notes": "Contoh yang dibuat oleh peragaan.",
		"letter":          map[string]any{"sender": o.Produsen, "post": "Direktur", "number": letterNumber, "date": o.Today, "subject": "permohonan personalisasi kartu SAM"},
		"lines":           []map[string]any{{"lembaga": o.Lembaga, "quantity": o.Cards, "remarks": ""}},
		"purchase_orders": []map[string]any{{"number": poNumber, "from": o.Lembaga, "to": o.Produsen, "reader_count": o.Cards}},
	}, "", "  ")
	if err != nil {
		return "", nil, err
	}
	return key, []people.Part{
		{Name: "request", MediaType: "application/json", Body: body},
		{Name: "letter", File: "surat-permohonan.pdf", MediaType: "application/pdf", Body: letter},
		{Name: "purchase_order", File: "po.pdf", MediaType: "application/pdf", Body: order},
		{Name: "pks", File: "pks.pdf", MediaType: "application/pdf", Body: pks},
		{Name: "card_list", File: "daftar-kartu.xlsx", MediaType: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Body: xlsx},
	}, nil
}

// drop sends a request for so many cards to the intake endpoint, as a produsen's
// software does, and returns its Kode Tiket.
func (p *play) drop(ctx context.Context, title string, cards int) (ticket string, err error) {
	key, parts, err := Order{p.Cast.Produsen, p.Cast.Lembaga, p.Cast.PKS, title, cards, clock.Today(p.office)}.Parts()
	if err != nil {
		return "", err
	}
	var answer struct {
		Ticket string `json:"ticket"`
	}
	if _, err = p.client.Do(ctx, people.Call{Method: http.MethodPost, Path: "/api/v1/requests",
		Header: map[string]string{"Idempotency-Key": key}, Parts: parts}, &answer); err != nil {
		return "", err
	}
	p.out.Say("\nPermohonan %s masuk: %d kartu SAM untuk %s.", answer.Ticket, cards, p.Cast.Lembaga)
	return answer.Ticket, nil
}
