package profile

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"dukcapil.go.id/sifilma/pkg/form"
)

// Plain tells whether the card is written by bare ISO 7816-4 commands.
func (p *Profile) Plain() bool { return p.Channel.Protocol == Open }

// Filling is what a card gets of its own.
type Filling struct {
	Marker   []byte // 16 bytes
	PCID     []byte // 16 bytes
	Secret   []byte
	Manifest string
}

// place is a name in braces, with the length it is filled up to.
var place = regexp.MustCompile(`\{(marker|pcid|secret|manifest)(?::([0-9]{1,3}))?\}`)

// Fill puts a card's own content into the template of a command. The caller clears
// the result, in which the secret may be.
func (a Act) Fill(with Filling) ([]byte, error) {
	out := make([]byte, 0, 300)
	rest := a.APDU
	for rest != "" {
		at := place.FindStringSubmatchIndex(rest)
		text := rest
		if at != nil {
			text = rest[:at[0]]
		}
		fixed, err := hex.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("%w: step %s: %w", ErrProfile, a.Name, err)
		}
		out = append(out, fixed...)
		if at == nil {
			break
		}
		value := map[string][]byte{"marker": with.Marker, "pcid": with.PCID, "secret": with.Secret, "manifest": []byte(with.Manifest)}[rest[at[2]:at[3]]]
		out = append(out, value...)
		if at[4] >= 0 {
			n, _ := strconv.Atoi(rest[at[4]:at[5]]) // three digits at most
			if len(value) > n {
				return nil, fmt.Errorf("%w: step %s: %d bytes do not fit in %d", ErrProfile, a.Name, len(value), n)
			}
			out = append(out, make([]byte, n-len(value))...)
		}
		rest = rest[at[1]:]
	}
	return out, nil
}

// Done tells whether a status word says that a Send was done.
func (a Act) Done(word uint16) bool {
	if len(a.Expect) == 0 {
		return word == 0x9000
	}
	return slices.Contains(a.Expect, Word(word))
}

// names are what of the card's own a command carries.
func (a Act) names() (all []string) {
	for _, m := range place.FindAllStringSubmatch(a.APDU, -1) {
		all = append(all, m[1])
	}
	return all
}

// checkPlain is what keeps the state of a card tellable that is written by bare
// commands: the marker comes before all else, the last thing written shows that all
// of it is there, and only the proven card gets it.
func (p *Profile) checkPlain(f *form.Faults) {
	written := map[string]bool{}
	shown := map[Sight]bool{}
	last, first := -1, -1
	var readBack, opened bool
	for i, a := range p.Steps {
		at := fmt.Sprintf("/steps/%d", i)
		switch a.Do {
		case Send:
			p.checkSend(f, at, a, shown)
			for _, name := range a.names() {
				if readBack || opened {
					f.Add(at+"/apdu", "wrong_order", "Isi kartu ditulis sebelum read_back dan open_sam, yang membuktikannya.")
				}
				written[name] = true
			}
			if first < 0 {
				first = i
			}
			last = i
		case ReadBack:
			readBack = true
		case OpenSAM:
			opened = true
		}
	}
	if first < 0 || !slices.Equal(p.Steps[first].Shows, []Sight{MarkerSeen}) || first > 0 {
		f.Add("/steps/0", "wrong_order", "Langkah pertama menulis {marker} dan memperlihatkan hanya marker; tanpa tanda itu tidak diketahui siapa yang menulis kartu.")
	}
	for _, name := range []string{"pcid", "secret"} {
		if !written[name] {
			f.Add("/steps", "missing", "Tidak ada langkah yang menulis {%s}.", name)
		}
	}
	if !readBack || !opened {
		f.Add("/steps", "missing", "Diperlukan read_back dan open_sam: tanpa keduanya kartu tidak terbukti jadi.")
	}
	if last >= 0 && (!slices.Equal(p.Steps[last].Shows, []Sight{LifeCycleSeen}) || !p.provenBefore(last)) {
		f.Add(fmt.Sprintf("/steps/%d", last), "wrong_order", "Penulisan terakhir memperlihatkan life_cycle, sesudah read_back dan open_sam: dari situ kartu jadi dikenali.")
	}
	for sight := range p.Read {
		if !shown[sight] {
			f.Add("/read/"+string(sight), "not_used", "Tidak ada langkah yang memperlihatkannya.")
		}
	}
}

// provenBefore tells whether both proofs come before a step.
func (p *Profile) provenBefore(i int) bool {
	steps := Profile{Steps: p.Steps[:i]}
	return slices.Contains(steps.order(), ReadBack) && slices.Contains(steps.order(), OpenSAM)
}

// carries are the sights that show a value which the command must carry.
var carries = map[Sight]string{MarkerSeen: "marker", PCIDSeen: "pcid", ManifestSeen: "manifest"}

func (p *Profile) checkSend(f *form.Faults, at string, a Act, shown map[Sight]bool) {
	names := a.names()
	for _, sight := range a.Shows {
		if _, ok := p.Read[sight]; !ok {
			f.Add(at+"/shows", "missing", "Tidak ada read untuk %s, jadi tidak dapat dilihat.", sight)
		}
		if name, ok := carries[sight]; ok && (!slices.Contains(names, name) || shown[sight]) {
			f.Add(at+"/shows", "differs", "%s terlihat sesudah satu langkah yang menulis {%s}.", sight, name)
		}
		if sight == KeyVersionSeen {
			f.Add(at+"/shows", "not_used", "Kartu ini tidak menyebut versi kunci.")
		}
		shown[sight] = true
	}
	if slices.Contains(a.Shows, LifeCycleSeen) != (len(a.Leaves) > 0) {
		f.Add(at+"/leaves", "differs", "leaves disebut tepat bila langkah memperlihatkan life_cycle.")
	}
	if a.Again && len(a.Shows) > 0 {
		f.Add(at+"/again", "not_used", "again hanya bagi langkah yang tidak memperlihatkan apa pun.")
	}
	command, err := a.Fill(Filling{Marker: make([]byte, 16), PCID: make([]byte, 16), Secret: make([]byte, p.SecretBytes)})
	if err != nil {
		f.Add(at+"/apdu", "wrong_form", "Perintah tidak dapat diisi: panjang yang disebut terlalu kecil.")
	} else if !whole(command) {
		f.Add(at+"/apdu", "wrong_form", "Perintah bukan APDU pendek: Lc tidak sama dengan panjang datanya.")
	}
	for _, m := range place.FindAllStringSubmatch(a.APDU, -1) {
		if (m[1] == "manifest") != (m[2] != "") {
			f.Add(at+"/apdu", "wrong_form", "Nomor manifes ditulis {manifest:N}, N byte; yang lain tanpa panjang.")
		}
	}
}

// whole tells whether bytes are a short command APDU (ISO 7816-4 5.1).
func whole(b []byte) bool {
	return len(b) == 4 || len(b) == 5 || len(b) > 5 && b[4] > 0 && (len(b) == 5+int(b[4]) || len(b) == 6+int(b[4]))
}
