package content

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// blankReceipt gives the values of a tanda terima blangko.
func blankReceipt(f facts, values map[string]string) {
	n := f.counted
	values["date_in_words"] = terbilang.DateInWords(n.BroughtOn)
	values["brought_name"], values["brought_post"] = or(n.BroughtBy.Name, dots), or(n.BroughtBy.Post, dots)
	values["received_name"], values["received_post"] = or(n.ReceivedBy.Name, dots), or(n.ReceivedBy.Post, dots)
	number(values, "quantity", n.Quantity)
	values["count_note"] = countNote(n)
}

// countNote says whether as many blanks came as the list has cards.
func countNote(n letter.BlankCount) string {
	switch diff := n.Quantity - n.Listed; {
	case n.MovementID != "":
		return "Blangko ini datang sesudah permohonan terdaftar, dengan keterangan: " + or(clause(n.Explanation), "-") + "."
	case diff == 0:
		return "Jumlah tersebut SAMA dengan jumlah kartu pada daftar kartu permohonan, yaitu " + pieces(n.Listed) + "."
	case diff < 0:
		return "Jumlah tersebut TIDAK SAMA dengan jumlah kartu pada daftar kartu permohonan, yaitu " + pieces(n.Listed) + ": kurang " + pieces(-diff) + "."
	default:
		return "Jumlah tersebut TIDAK SAMA dengan jumlah kartu pada daftar kartu permohonan, yaitu " + pieces(n.Listed) + ": lebih " + pieces(diff) + "."
	}
}

// daySheet gives the values of a lembar harian.
func daySheet(f facts, values map[string]string, tables map[string][]map[string]string) {
	s := f.sheet
	count := func(n int) string { return terbilang.FormatInt(int64(n)) }
	values["day"], values["printed_at"] = terbilang.FormatDayDate(s.Day), terbilang.FormatDateTime(f.head.At)
	var sum letter.WrittenCards
	written := make([]map[string]string, 0, len(s.Written))
	for i, c := range s.Written {
		sum.Clear, sum.Failed, sum.InDoubt, sum.Spoiled = sum.Clear+c.Clear, sum.Failed+c.Failed, sum.InDoubt+c.InDoubt, sum.Spoiled+c.Spoiled
		written = append(written, map[string]string{"no": strconv.Itoa(i + 1), "ticket": c.Ticket, "institution": c.Institution, "station": c.Station,
			"clear": count(c.Clear), "failed": count(c.Failed), "in_doubt": count(c.InDoubt), "spoiled": count(c.Spoiled)})
	}
	var left letter.BlankFlow
	blanks := make([]map[string]string, 0, len(s.Blanks))
	for i, b := range s.Blanks {
		left.Opening, left.Received, left.Used, left.Closing, left.Difference = left.Opening+b.Opening, left.Received+b.Received, left.Used+b.Used, left.Closing+b.Closing, left.Difference+b.Difference
		blanks = append(blanks, map[string]string{"no": strconv.Itoa(i + 1), "ticket": b.Ticket, "opening": count(b.Opening), "received": count(b.Received),
			"used": count(b.Used), "closing": count(b.Closing), "difference": count(b.Difference)})
	}
	tables["written"], tables["blanks"] = written, blanks
	for tag, n := range map[string]int{"clear": sum.Clear, "failed": sum.Failed, "in_doubt": sum.InDoubt, "spoiled": sum.Spoiled,
		"opening": left.Opening, "received": left.Received, "used": left.Used, "closing": left.Closing, "difference": left.Difference} {
		values["sum_"+tag] = count(n)
	}
	values["closing_words"] = terbilang.Number(int64(left.Closing))
	values["audit_seq"], values["audit_hash"], values["audit_unsealed"] = terbilang.FormatInt(f.head.Seq), grouped(f.head.Hash.String()), terbilang.FormatInt(f.head.Unsealed)
	signature := hex.EncodeToString(f.head.Signature)
	first, second := signature[:len(signature)/2], signature[len(signature)/2:]
	values["audit_key"], values["audit_signature"] = f.head.KeyID, grouped(first)+"\n"+grouped(second)
	values["made_name"], values["made_post"] = or(s.MadeBy.Name, dots), s.MadeBy.Post
	values["known_name"], values["known_post"] = or(s.KnownBy.Name, dots), s.KnownBy.Post
}

// printsSignature says whether a template prints what makes a lembar harian proof: an
// edition of the office's own may be from before heads were signed.
func printsSignature(kind string, body []byte) error {
	if kind != letter.DaySheet {
		return nil
	}
	tags, err := docx.Tags(body)
	if err != nil {
		return err
	}
	for _, tag := range []string{"audit_seq", "audit_hash", "audit_unsealed", "audit_key", "audit_signature", "printed_at"} {
		if !slices.Contains(tags, tag) {
			return fmt.Errorf("content: the template in force does not print {{%s}}; approve an edition that does", tag)
		}
	}
	return nil
}

// grouped is a hash in groups of eight, as people compare it.
func grouped(hash string) string {
	var groups []string
	for ; len(hash) > 8; hash = hash[8:] {
		groups = append(groups, hash[:8])
	}
	return strings.Join(append(groups, hash), " ")
}
