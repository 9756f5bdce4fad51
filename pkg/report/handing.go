package report

import (
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/perso"
)

// Handing is how far the cards of a request are in the produsen's hands, which begins
// with the first card that is clear.
type Handing struct {
	Total     int `json:"total"`     // asked for, without those that a letter took off
	Ready     int `json:"ready"`     // clear, and in no handover
	Prepared  int `json:"prepared"`  // in a handover, and in the office
	Delivered int `json:"delivered"` // handed over
	Received  int `json:"received"`  // counted by the produsen
	Remaining int `json:"remaining"` // of Total, not handed over
}

func handing(cards perso.Tally, list []handover.Handover) Handing {
	h := Handing{Total: cards.Total, Ready: cards.Clear - handover.Given(list)}
	for _, one := range list {
		if one.DeliveredOn != nil {
			h.Delivered += one.Quantity
		}
		if one.Received != nil {
			h.Received += *one.Received
		}
	}
	h.Prepared = handover.Given(list) - h.Delivered
	h.Remaining = h.Total - h.Delivered
	return h
}
