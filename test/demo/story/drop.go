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

// drop sends a request for so many cards to the intake endpoint, as a produsen's
// software does, and returns its Kode Tiket.
func (p *play) drop(ctx context.Context, title string, cards int) (ticket string, err error) {
	key := uuid.NewString()
	today := clock.Today(p.office)
	// Serials are unique for ever, so each sample has its own: S and eleven
	// digits of the key.
	base := "SAM" + strings.ToUpper(strings.ReplaceAll(key, "-", ""))[:11]
	list := make([]sample.Card, cards)
	for i := range list {
		list[i] = sample.Card{Serial: fmt.Sprintf("%s%03d", base, i+1), Reader: fmt.Sprintf("GSX-%s-%03d", base[3:9], i+1)}
	}
	xlsx, err := sample.CardList("Type IdGlobalScan GSX-01", list)
	if err != nil {
		return "", err
	}
	reference := "PC-" + base[3:]
	poNumber, letterNumber := "PO/"+base[3:], "001/PC/"+base[3:]
	letter, err := sample.PDF("SURAT PERMOHONAN PERSONALISASI KARTU SAM", "Nomor: "+letterNumber, "Kepada Yth. Direktur Jenderal Kependudukan dan Pencatatan Sipil",
		fmt.Sprintf("Bersama ini kami mengajukan personalisasi %d keping kartu SAM.", cards))
	if err != nil {
		return "", err
	}
	order, err := sample.PDF("PURCHASE ORDER", "Nomor: "+poNumber, fmt.Sprintf("%s memesan %d unit reader KTP-el dari %s.", p.Cast.Lembaga, cards, p.Cast.Produsen))
	if err != nil {
		return "", err
	}
	pks, err := sample.PDF("PERJANJIAN KERJA SAMA", "Nomor: "+p.Cast.PKS, "Antara Ditjen Dukcapil dan "+p.Cast.Lembaga)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(map[string]any{
		"kind": "reader", "reference": reference, "title": title, "sam_function": "R", "card_count": cards,
		"machine_type": "gsx-01", "pks_number": p.Cast.PKS, "notes": "Contoh yang dibuat oleh peragaan.",
		"letter":          map[string]any{"sender": p.Cast.Produsen, "post": "Direktur", "number": letterNumber, "date": today, "subject": "permohonan personalisasi kartu SAM"},
		"lines":           []map[string]any{{"lembaga": p.Cast.Lembaga, "quantity": cards, "remarks": ""}},
		"purchase_orders": []map[string]any{{"number": poNumber, "from": p.Cast.Lembaga, "to": p.Cast.Produsen, "reader_count": cards}},
	})
	if err != nil {
		return "", err
	}
	var answer struct {
		Ticket string `json:"ticket"`
	}
	_, err = p.client.Do(ctx, people.Call{Method: http.MethodPost, Path: "/api/v1/requests",
		Header: map[string]string{"Idempotency-Key": key},
		Parts: []people.Part{
			{Name: "request", MediaType: "application/json", Body: body},
			{Name: "letter", File: "surat-permohonan.pdf", MediaType: "application/pdf", Body: letter},
			{Name: "purchase_order", File: "po.pdf", MediaType: "application/pdf", Body: order},
			{Name: "pks", File: "pks.pdf", MediaType: "application/pdf", Body: pks},
			{Name: "card_list", File: "daftar-kartu.xlsx", MediaType: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Body: xlsx},
		}}, &answer)
	if err != nil {
		return "", err
	}
	p.out.Say("\nPermohonan %s masuk: %d kartu SAM untuk %s.", answer.Ticket, cards, p.Cast.Lembaga)
	return answer.Ticket, nil
}
