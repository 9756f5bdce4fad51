package validation

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/request"
)

// sameName is a name of an institution as it is compared: people write "PT.
// Contoh" and "PT Contoh" for the same one.
func sameName(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}), " ")
}

// purchaseOrders wants readers ordered from the produsen for all cards, and the
// chain from lembaga to produsen (features.md I05-I07, N21).
func (c *check) purchaseOrders() error {
	if c.r.Kind != request.KindReader {
		return nil
	}
	produsen := sameName(c.r.Institution)
	readers, ends := 0, 0
	for _, o := range c.r.Orders {
		if sameName(o.To) == produsen {
			readers += o.ReaderCount
			ends++
		}
	}
	switch {
	case ends == 0:
		c.fault("po_not_to_produsen", "/purchase_orders", "Tidak ada PO yang ditujukan kepada %s.", c.r.Institution)
	case readers < c.r.CardCount:
		c.fault("po_too_small", "/purchase_orders", "PO kepada %s memesan %d reader, kurang dari %d kartu yang diajukan.",
			c.r.Institution, readers, c.r.CardCount)
	}
	for i, l := range c.r.Lines {
		lembaga := sameName(l.Lembaga)
		ordered, wanted := 0, 0
		for _, o := range c.r.Orders {
			if sameName(o.From) == lembaga {
				ordered += o.ReaderCount
			}
		}
		for _, other := range c.r.Lines {
			if sameName(other.Lembaga) == lembaga {
				wanted += other.Quantity
			}
		}
		switch {
		case !c.reaches(lembaga, produsen):
			c.fault("po_chain", fmt.Sprintf("/lines/%d/lembaga", i), "Tidak ada PO yang sampai dari %s kepada %s. Penjualan langsung memerlukan "+
				"PO dari lembaga kepada produsen; melalui reseller, PO lembaga kepada reseller dan PO reseller kepada produsen.",
				l.Lembaga, c.r.Institution)
		case ordered < wanted && readers >= c.r.CardCount: // else the fault above says it
			c.fault("po_lembaga_small", fmt.Sprintf("/lines/%d/quantity", i), "PO dari %s memesan %d reader, kurang dari %d kartu yang diajukan untuknya.",
				l.Lembaga, ordered, wanted)
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
			next := sameName(o.To)
			if sameName(o.From) != queue[0] || seen[next] {
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
	if errors.Is(err, institution.ErrNotFound) {
		c.fault("pks_unknown", at, "PKS nomor \"%s\" tidak tercatat.", c.r.PKSNumber)
		return nil
	}
	if err != nil {
		return err
	}
	period := fmt.Sprintf("(berlaku %s sampai %s)", pks.ValidFrom, pks.ValidTo)
	switch {
	case pks.State != "in_force":
		c.fault("pks_withdrawn", at, "PKS nomor \"%s\" sudah dicabut.", pks.Number)
	case !pks.InForce(c.r.Date):
		c.fault("pks_not_in_force", at, "PKS nomor \"%s\" tidak berlaku pada tanggal surat %s %s.", pks.Number, c.r.Date, period)
	case !pks.InForce(c.today):
		c.fault("pks_not_in_force", at, "PKS nomor \"%s\" tidak berlaku pada hari ini %s %s.", pks.Number, c.today, period)
	}
	for _, l := range c.r.Lines {
		if sameName(l.Lembaga) == sameName(pks.Institution) {
			return nil
		}
	}
	c.fault("pks_other_lembaga", at, "PKS nomor \"%s\" bukan milik lembaga pengguna pada permohonan ini.", pks.Number)
	return nil
}
