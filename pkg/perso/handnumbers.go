package perso

import (
	"context"
	"fmt"
	"strings"

	"dukcapil.go.id/sifilma/pkg/perso/numbers"
)

// number takes the numbers of the entries that another tool gave: of cards that have
// none. A card that has numbers keeps them; the same ones again change nothing.
func (e *entering) number(ctx context.Context) error {
	var cards []Card
	var given []pair
	var at []int
	for i, one := range e.entries {
		c, here := e.cards[one.CardID]
		if !here || one.PCID == "" && one.ManifestNo == "" || e.faulty(i) {
			continue
		}
		if c.PCID != "" {
			e.compare(i, c)
			continue
		}
		if e.legal(i, c) {
			cards, given, at = append(cards, c), append(given, pair{one.PCID, one.ManifestNo}), append(at, i)
		}
	}
	if len(cards) == 0 {
		return nil
	}
	// Whoever gives numbers at the same time waits, and then sees these.
	if _, err := e.tx.Exec(ctx, `SELECT FROM number_counter ORDER BY kind FOR UPDATE`); err != nil {
		return fmt.Errorf("perso: locking counters: %w", err)
	}
	for _, k := range []struct {
		kind, field string
		value       func(pair) string
	}{{kindPCID, "pcid", func(p pair) string { return p.pcid }}, {kindManifest, "manifest_no", func(p pair) string { return p.manifest }}} {
		if err := e.free(ctx, k.kind, k.field, given, at, k.value); err != nil {
			return err
		}
	}
	if len(e.wrong) > 0 {
		return nil // nothing is taken at all
	}
	ids := make([]string, len(cards))
	pcids, manifests := make([]string, len(cards)), make([]string, len(cards))
	for i, c := range cards {
		ids[i], pcids[i], manifests[i] = c.ID, given[i].pcid, given[i].manifest
	}
	if err := keep(ctx, e.tx, kindPCID, pcids, ids); err != nil {
		return err
	}
	if err := keep(ctx, e.tx, kindManifest, manifests, ids); err != nil {
		return err
	}
	if err := number(ctx, e.tx, cards, given, "impor", e.change); err != nil {
		return err
	}
	for i, c := range cards {
		c.State, c.Version, c.PCID, c.ManifestNo, c.ByHand = Numbered, c.Version+1, pcids[i], manifests[i], true
		e.cards[c.ID] = c
	}
	e.numbered = len(cards)
	return nil
}

// compare says where the numbers of an entry are not those that the card has.
func (e *entering) compare(i int, c Card) {
	one := e.entries[i]
	const detail = "Kartu %s sudah bernomor %s. Nomor tidak diganti lewat impor; hapus dahulu semua nomor bila memang salah."
	if one.PCID != "" && one.PCID != c.PCID {
		e.wrong.add(i, "pcid", "differs", detail, c.Serial, c.PCID)
	}
	if one.ManifestNo != "" && !strings.EqualFold(one.ManifestNo, c.ManifestNo) {
		e.wrong.add(i, "manifest_no", "differs", detail, c.Serial, c.ManifestNo)
	}
}

// legal says whether an entry's numbers are such, of a card that may have them.
func (e *entering) legal(i int, c Card) bool {
	one, before := e.entries[i], len(e.wrong)
	switch {
	case c.State != Listed && c.State != Bound:
		e.wrong.add(i, "card", "not_open", "Kartu %s berstatus %s; nomornya tidak diubah.", c.Serial, Machine.Label(c.State))
	case one.PCID == "":
		e.wrong.add(i, "pcid", "missing", "PCID wajib diisi bersama nomor manifest.")
	case one.ManifestNo == "":
		e.wrong.add(i, "manifest_no", "missing", "Nomor manifest wajib diisi bersama PCID.")
	}
	if one.PCID != "" && !numbers.IsPCID(one.PCID) {
		e.wrong.add(i, "pcid", "wrong_form", "PCID harus 32 digit heksadesimal (0-9, A-F).")
	}
	if one.ManifestNo != "" && !numbers.IsManifest(one.ManifestNo) {
		e.wrong.add(i, "manifest_no", "wrong_form", "Nomor manifest harus 1 sampai 64 huruf, angka, titik, garis miring, atau tanda hubung.")
	}
	return len(e.wrong) == before
}

// free says which numbers of a kind are not free: given before, or twice in the call.
func (e *entering) free(ctx context.Context, kind, field string, given []pair, at []int, value func(pair) string) error {
	values, first := make([]string, len(given)), map[string]int{}
	for i, p := range given {
		values[i] = value(p)
	}
	known, err := taken(ctx, e.tx, kind, values)
	if err != nil {
		return err
	}
	for i, v := range values {
		_, twice := first[v]
		switch {
		case known[v]:
			e.wrong.add(at[i], field, "in_use", "Nomor %s sudah pernah diberikan. Satu nomor hanya dipakai satu kali untuk selamanya.", v)
		case twice:
			e.wrong.add(at[i], field, "repeated", "Nomor %s disebut untuk lebih dari satu kartu.", v)
		}
		first[v] = i
	}
	return nil
}
