package pages

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/manifests"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

const signingKeysPath = manifestsPath + "/kunci"

// mountSigningKeys adds the page of the act that replaces what a given-up key has signed.
func (p *Pages) mountSigningKeys(inside chi.Router) {
	at := signingKeysPath + "/{key}/terbitkan-ulang"
	inside.Get(at, p.handle(explained(p.present(p.reissue()))))
	inside.With(web.Slow(letterTime)).Post(at, p.handle(explained(p.saveDay(p.reissue()))))
}

func reissuePath(k activation.GivenUpKey) string {
	return signingKeysPath + "/" + url.PathEscape(k.KeyID) + "/terbitkan-ulang"
}

// restsOn says whether readers rest on a key that was given up.
func restsOn(k activation.GivenUpKey) bool { return k.Due+k.Held+k.Suspended > 0 }

// givenUp is what became of a key.
func givenUp(k activation.GivenUpKey) string {
	if k.Revoked {
		return "Dicabut"
	}
	return "Dihentikan"
}

// keysLost says that manifests of revoked keys still count, and who does what about it;
// empty when none does.
func keysLost(keys activation.SigningKeys, role machine.Role) string {
	due, held := keys.Lost()
	if due+held == 0 {
		return ""
	}
	said := "Kunci penanda tangan sudah dicabut, dan " + number(due+held) + " reader masih bersandar pada manifest yang ditandatanganinya. Manifest itu tidak dapat dipercaya lagi"
	switch {
	case due == 0:
		said += "."
	case keys.InForce == nil:
		said += ". Belum ada kunci penggantinya: operator HSM membuatnya dengan sifilma keys generate, lalu Kasubdit KI menerbitkan ulang."
	case manifests.MayReissue(role) != nil:
		said += ": Kasubdit KI harus menerbitkannya ulang sekarang."
	default:
		said += ": terbitkan ulang sekarang."
	}
	if held > 0 {
		said += " " + number(held) + " reader milik lembaga tanpa PKS yang berlaku: perbarui PKS-nya, atau cabut aktivasinya."
	}
	return said
}

// revokedKeysTable tells produsen and lembaga which keys to trust no more.
func revokedKeysTable(keys []manifest.KeyEntry) rowsTable {
	t := rowsTable{
		Caption: "Kunci penanda tangan yang dicabut. Yang ditandatanganinya jangan dipakai; periksa dengan kunci publik yang terbaru, yang sidiknya Anda terima lewat jalan lain.",
		Heads:   []string{"Sidik kunci", "Dicabut", "Sebab"}, Serials: true,
	}
	for _, k := range keys {
		t.Rows = append(t.Rows, []cell{{Text: k.KeyID}, {Text: terbilang.FormatDate(clock.DateOf(time.Unix(k.At, 0)))}, {Text: k.Reason}})
	}
	return t
}

// signingKeysTable are the given-up keys on which readers rest: without any, it has no rows.
func signingKeysTable(keys activation.SigningKeys, role machine.Role) rowsTable {
	t := rowsTable{
		Caption: "Kunci penanda tangan yang dihentikan atau dicabut, dan masih dipakai manifest",
		Heads:   []string{"Kunci", "Sejak", "Sebab", "Perlu diterbitkan ulang", "Menunggu PKS lembaga", "Ditangguhkan", "Tindakan"}, Numbers: []int{3, 4, 5},
	}
	for _, k := range keys.GivenUp {
		if !restsOn(k) {
			continue
		}
		act := cell{Text: "Menunggu PKS lembaga berlaku atau reader dilanjutkan"}
		switch {
		case k.Due == 0:
		case keys.InForce == nil:
			act.Text = "Menunggu kunci penanda tangan yang baru"
		case manifests.MayReissue(role) != nil:
			act.Text = "Menunggu Kasubdit KI"
		default:
			act = cell{Text: "Terbitkan ulang", Path: reissuePath(k)}
		}
		t.Rows = append(t.Rows, []cell{{Text: k.Label}, {Text: givenUp(k) + " " + terbilang.FormatDate(clock.DateOf(k.GivenUpAt))}, {Text: k.Reason}, {Text: number(k.Due)}, {Text: number(k.Held)},
			{Text: number(k.Suspended)}, act})
	}
	return t
}

// reissue has Kasubdit KI replace all manifests that a given-up key has signed. The version
// of its form is how many those are.
func (p *Pages) reissue() editor {
	return editor{"Terbitkan ulang manifest",
		func(r *http.Request) (formBody, error) {
			who := signin.Account(r)
			if err := manifests.MayReissue(who.Role); err != nil {
				return formBody{}, err
			}
			keys, err := p.manifestDesk().Keys(r.Context(), who)
			if err != nil {
				return formBody{}, err
			}
			k, err := keys.Find(chi.URLParam(r, "key"))
			if err != nil {
				return formBody{}, err
			}
			if k.Due == 0 {
				return formBody{}, activation.ErrNothingDue
			}
			if keys.InForce == nil {
				return formBody{}, activation.ErrNoSigningKey
			}
			return formBody{
				Crumbs: []crumb{activationCrumb, {"Manifest", manifestsPath}}, Facts: reissueFacts(k, *keys.InForce),
				Lead:    "Semua manifest berlaku yang ditandatangani kunci ini dicabut dan masuk daftar pencabutan, dan setiap readernya langsung mendapat baris baru pada surat yang sama: manifest baru ditandatangani dengan kunci yang berlaku, dilepas kepada produsen, dan dipasang seperti biasa. Tiap surat mendapat satu surat balasan baru.",
				Warning: reissueWarning(k),
				Action:  reissuePath(k), Submit: "Terbitkan ulang " + number(k.Due) + " manifest", Version: int64(k.Due),
				Fields: []field{{Name: "reason", Label: "Alasan", Kind: "textarea", Longest: 2000, Hint: "Tercatat pada riwayat setiap reader dan dilihat lembaga serta produsennya."}},
			}, nil
		},
		func(r *http.Request) (string, error) {
			done, err := p.manifestDesk().Reissue(r.Context(), signin.Account(r), chi.URLParam(r, "key"), int(seenVersion(r)), r.PostForm.Get("reason"))
			return fmt.Sprintf("%s?diterbitkan-ulang=%d&%s", manifestsPath, done.Readers, justKept()), err
		}}
}

func reissueWarning(k activation.GivenUpKey) string {
	const end = " Beri tahu produsen dan lembaga. Tindakan ini tidak dapat dibatalkan."
	if k.Revoked {
		return "Kunci ini dicabut: manifestnya sudah ditolak oleh siapa pun yang memegang daftar pencabutan atau kunci publik yang baru. Readernya dapat dipakai lagi setelah manifest barunya dipasang." + end
	}
	return "Reader yang sudah memuat daftar pencabutan baru tidak dapat dipakai sampai manifest barunya dipasang." + end
}

func reissueFacts(k activation.GivenUpKey, now activation.KeyInForce) []fact {
	by := k.GivenUpBy
	if k.With != "" {
		by += " dan " + k.With
	}
	facts := []fact{
		{"Kunci yang diganti", k.Label}, {"Sidik kunci", k.KeyID}, {givenUp(k), terbilang.FormatDateTime(k.GivenUpAt) + ", oleh " + by}, {"Sebab", k.Reason},
		{"Kunci yang berlaku", now.Label}, {"Manifest yang diterbitkan ulang", number(k.Due) + " pada " + number(k.Letters) + " surat"},
	}
	if k.Held > 0 {
		facts = append(facts, fact{"Tidak ikut: lembaga tanpa PKS yang berlaku", number(k.Held) + " reader; manifestnya tetap sampai PKS berlaku lagi atau aktivasinya dicabut"})
	}
	if k.Suspended > 0 {
		facts = append(facts, fact{"Tidak ikut: ditangguhkan", number(k.Suspended) + " reader; muncul kembali di sini setelah dilanjutkan"})
	}
	return facts
}
