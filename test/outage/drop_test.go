package outage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/test/demo/people"
	"dukcapil.go.id/sifilma/test/demo/sample"
	"dukcapil.go.id/sifilma/test/demo/story"
)

// cards of a request.
const cards = 6

// drop sends a request to an intake and returns its ticket.
func (of *office) drop(t *testing.T) string {
	t.Helper()
	office, err := clock.OpenOffice("file:" + of.script.OfficeClock)
	require.NoError(t, err)
	base := "SAM" + strings.ToUpper(strings.ReplaceAll(uuid.NewString(), "-", ""))[:11]
	list := make([]sample.Card, cards)
	for i := range list {
		list[i] = sample.Card{Serial: fmt.Sprintf("%s%03d", base, i+1), Reader: fmt.Sprintf("GSX-%s-%03d", base[3:9], i+1)}
	}
	file := func(body []byte, err error) []byte { require.NoError(t, err); return body }
	cast := of.script.Cast
	body := file(json.Marshal(map[string]any{
		"kind": "reader", "reference": "GG-" + base[3:], "title": story.SampleTitle, "sam_function": "R", "card_count": cards,
		"machine_type": "gsx-01", "pks_number": cast.PKS, "notes": "",
		"letter": map[string]any{"sender": cast.Produsen, "post": "Direktur", "number": "001/" + base,
			"date": clock.Today(office), "subject": "permohonan personalisasi kartu SAM"},
		"lines":           []map[string]any{{"lembaga": cast.Lembaga, "quantity": cards, "remarks": ""}},
		"purchase_orders": []map[string]any{{"number": "PO/" + base, "from": cast.Lembaga, "to": cast.Produsen, "reader_count": cards}},
	}))
	const pdf, xlsx = "application/pdf", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var answer struct {
		Ticket string `json:"ticket"`
	}
	_, err = people.NewProgram(of.script.Addresses["intake"][0], cast.APIKey).Do(ctx, people.Call{
		Method: http.MethodPost, Path: "/api/v1/requests", Header: map[string]string{"Idempotency-Key": uuid.NewString()},
		Parts: []people.Part{
			{Name: "request", MediaType: "application/json", Body: body},
			{Name: "letter", File: "surat-permohonan.pdf", MediaType: pdf, Body: file(sample.PDF("SURAT PERMOHONAN PERSONALISASI KARTU SAM", "Nomor: 001/"+base))},
			{Name: "purchase_order", File: "po.pdf", MediaType: pdf, Body: file(sample.PDF("PURCHASE ORDER", "Nomor: PO/"+base))},
			{Name: "pks", File: "pks.pdf", MediaType: pdf, Body: file(sample.PDF("PERJANJIAN KERJA SAMA", "Nomor: "+cast.PKS))},
			{Name: "card_list", File: "daftar-kartu.xlsx", MediaType: xlsx, Body: file(sample.CardList("Type IdGlobalScan GSX-01", list))},
		}}, &answer)
	require.NoError(t, err)
	return answer.Ticket
}
