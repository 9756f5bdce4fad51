package validation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/request"
)

// words is a name or number as it is compared: people write "PT. Contoh" and "PT
// Contoh" for the same one.
func words(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}), " ")
}

// name looks up whose names the form has. An institution that has changed its name
// is the same under both, so that the papers of before are still right.
func (c *check) name() error {
	if c.r.Kind != request.KindReader {
		return nil
	}
	names := []string{c.r.Institution}
	for _, o := range c.r.Orders {
		names = append(names, o.From, o.To)
	}
	for _, l := range c.r.Lines {
		names = append(names, l.Lembaga)
	}
	var err error
	c.known, err = institution.Known(c.ctx, c.rd, names)
	return err
}

// who is a name as it is compared with others: whose it is, or its words where
// nobody of ours has it.
func (c *check) who(name string) string {
	if id, ok := c.known[name]; ok {
		return id
	}
	return words(name)
}

// purchaseOrders wants readers ordered from the produsen for all cards, and the
// chain from lembaga to produsen (features.md I05-I07, N21).
func (c *check) purchaseOrders() error {
	if c.r.Kind != request.KindReader {
		return nil
	}
	produsen := c.who(c.r.Institution)
	in, out, wanted := map[string]int{}, map[string]int{}, map[string]int{}
	known := map[request.PurchaseOrder]int{}
	for i, o := range c.r.Orders {
		same := request.PurchaseOrder{Number: words(o.Number), From: c.who(o.From), To: c.who(o.To)}
		if first, repeated := known[same]; repeated {
			c.fault("po_repeated", fmt.Sprintf("/purchase_orders/%d", i), "PO nomor \"%s\" sudah disebut pada baris ke-%d.", o.Number, first+1)
			continue
		}
		known[same] = i
		in[same.To] += o.ReaderCount
		out[same.From] += o.ReaderCount
	}
	for _, l := range c.r.Lines {
		wanted[c.who(l.Lembaga)] += l.Quantity
	}
	enough := false
	switch readers, ordered := in[produsen]; {
	case !ordered:
		c.fault("po_not_to_produsen", "/purchase_orders", "Tidak ada PO yang ditujukan kepada %s.", c.r.Institution)
	case readers < c.r.CardCount:
		c.fault("po_too_small", "/purchase_orders", "PO kepada %s memesan %d reader, kurang dari %d kartu yang diajukan.",
			c.r.Institution, readers, c.r.CardCount)
	default:
		enough = true
	}
	said := map[string]bool{}
	for i, o := range c.r.Orders {
		reseller := c.who(o.To)
		if reseller == produsen || said[reseller] || out[reseller] == 0 || out[reseller] >= in[reseller] || !enough {
			continue
		}
		said[reseller] = true
		c.fault("po_reseller_small", fmt.Sprintf("/purchase_orders/%d/reader_count", i),
			"%s menerima pesanan %d reader tetapi hanya memesan %d.", o.To, in[reseller], out[reseller])
	}
	for i, l := range c.r.Lines {
		lembaga := c.who(l.Lembaga)
		switch {
		case !c.reaches(lembaga, produsen):
			c.fault("po_chain", fmt.Sprintf("/lines/%d/lembaga", i), "Tidak ada PO yang sampai dari %s kepada %s. Penjualan langsung memerlukan "+
				"PO dari lembaga kepada produsen; melalui reseller, PO lembaga kepada reseller dan PO reseller kepada produsen.",
				l.Lembaga, c.r.Institution)
		case out[lembaga] < wanted[lembaga] && enough: // else the fault above says it
			c.fault("po_lembaga_small", fmt.Sprintf("/lines/%d/quantity", i), "PO dari %s memesan %d reader, kurang dari %d kartu yang diajukan untuknya.",
				l.Lembaga, out[lembaga], wanted[lembaga])
		}
	}
	return nil
}

// reaches says whether orders lead from one institution to another, over
// resellers too.
func (c *check) reaches(from, to string) bool {
	seen := map[string]bool{from: true}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, o := range c.r.Orders {
			next := c.who(o.To)
			if c.who(o.From) != queue[0] || seen[next] {
				continue
			}
			if next == to {
				return true
			}
			seen[next] = true
			queue = append(queue, next)
		}
	}
	return false
}

// agreement wants the PKS in force on the day of the letter and today, with a
// lembaga of the lines (features.md I08).
func (c *check) agreement() error {
	if c.r.Kind != request.KindReader {
		return nil
	}
	const at = "/pks_number"
	pks, err := institution.PKSByNumber(c.ctx, c.rd, c.r.PKSNumber)
	if err != nil && !errors.Is(err, institution.ErrNotFound) {
		return err
	}
	mine := slices.ContainsFunc(c.r.Lines, func(l request.Line) bool {
		return c.who(l.Lembaga) == pks.InstitutionID || words(l.Lembaga) == words(pks.Institution)
	})
	if err != nil || !mine { // another's agreement is not told from none
		c.fault("pks_unknown", at, "PKS nomor \"%s\" tidak tercatat bagi lembaga pengguna pada permohonan ini.", c.r.PKSNumber)
		if len(c.r.Lines) < 2 { // whose it should be is said
			return nil
		}
		return c.otherAgreements("")
	}
	period := fmt.Sprintf("(berlaku %s sampai %s)", pks.ValidFrom, pks.ValidTo)
	switch {
	case !pks.LembagaActive:
		c.fault("lembaga_inactive", at, "%s, lembaga pengguna pada PKS nomor \"%s\", sudah dinonaktifkan.", pks.Institution, pks.Number)
	case pks.State != "in_force":
		c.fault("pks_withdrawn", at, "PKS nomor \"%s\" sudah dicabut.", pks.Number)
	case !pks.InForce(c.r.Date):
		c.fault("pks_not_in_force", at, "PKS nomor \"%s\" tidak berlaku pada tanggal surat %s %s.", pks.Number, c.r.Date, period)
	case !pks.InForce(c.today):
		c.fault("pks_not_in_force", at, "PKS nomor \"%s\" tidak berlaku pada hari ini %s %s.", pks.Number, c.today, period)
	}
	return c.otherAgreements(pks.InstitutionID)
}

// otherAgreements wants a PKS in force with each lembaga but the one whose PKS the
// form names: a request for several names one number only.
func (c *check) otherAgreements(named string) error {
	var ids []string
	for _, l := range c.r.Lines {
		if id, ok := c.known[l.Lembaga]; ok && id != named {
			ids = append(ids, id)
		}
	}
	covered, err := institution.Covered(c.ctx, c.rd, ids, c.r.Date, c.today)
	if err != nil {
		return err
	}
	for i, l := range c.r.Lines {
		id := c.known[l.Lembaga]
		if (id == "" || id != named) && !covered[id] {
			c.fault("pks_missing", fmt.Sprintf("/lines/%d/lembaga", i), "Tidak ada PKS antara %s dan Ditjen Dukcapil yang tercatat berlaku pada tanggal surat %s dan hari ini.",
				l.Lembaga, c.r.Date)
		}
	}
	return nil
}
