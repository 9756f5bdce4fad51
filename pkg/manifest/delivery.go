package manifest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/sealed"
)

// DeliveryFormat is the format of a bundle that delivers manifests.
const DeliveryFormat = "manifests/1"

// Names in a delivery.
const (
	ListFile   = "pencabutan.jws" // the revocation list
	KeysFile   = "kunci.json"     // the public keys as a JWK Set, to be compared and not to be trusted
	GuideFile  = "BACA-SAYA.txt"
	folder     = "manifest/"
	tokenFile  = ".jws"
	guideLines = `MANIFEST PEMBACA KTP-el

manifest/    satu pasang berkas untuk tiap pembaca: isi manifest, dan tanda tangannya (.jws)
%-12s daftar manifest yang dicabut atau ditangguhkan, bertanda tangan
%-12s kunci publik; bandingkan dengan yang diterima dari Ditjen Dukcapil lewat jalan lain
%-12s isi berkas ini dengan SHA-256 masing-masing

Seluruh berkas zip ini bertanda tangan: jangan dibuka lalu dikemas lagi. Periksa tanpa jaringan dengan:

    sifilma verify %s.zip -key kunci-publik-dukcapil.json

Daftar pencabutan yang terbaru selalu ada pada alamat yang diumumkan Ditjen Dukcapil.
`
)

// Delivery is what is handed to one produsen: manifests, the list of their day and the
// public keys that verify them.
type Delivery struct {
	Number    string // of the delivery
	About     string // a line for people: for whom
	Issued    time.Time
	Manifests []Manifest
	Drivers   []Driver // of the manifests; none means JSON
	List      []byte   // a signed list
	Keys      sealed.Keys
}

// Write writes the delivery as one bundle. Errors: sealed.ErrForm, ErrFacts for a format
// that no driver has, those of writing and signing.
func (d Delivery) Write(ctx context.Context, w io.Writer, s *sealed.Signer) error {
	extensions := map[string]string{}
	for _, driver := range drivers(d.Drivers) {
		extensions[driver.Format()] = driver.Extension()
	}
	keys, err := d.Keys.File()
	if err != nil {
		return err
	}
	guide := fmt.Sprintf(guideLines, ListFile, KeysFile, sealed.IndexName, FileName(d.Number))
	files := []sealed.File{{Name: GuideFile, Data: []byte(guide)}, {Name: KeysFile, Data: keys}, {Name: ListFile, Data: d.List}}
	for i, m := range d.Manifests {
		extension := extensions[m.Format]
		if extension == "" {
			return fmt.Errorf("%w: format %q of %s", ErrFacts, m.Format, m.Number)
		}
		name := folder + fmt.Sprintf("%05d-", i+1) + FileName(m.Number)
		files = append(files, sealed.File{Name: name + "." + extension, Data: m.Payload}, sealed.File{Name: name + tokenFile, Data: m.JWS})
	}
	return sealed.WriteBundle(ctx, w, s, sealed.Header{
		Number: d.Number, Format: DeliveryFormat, IssuedAt: d.Issued.Unix(), NotBefore: d.Issued.Unix(),
	}, d.About, files)
}

func drivers(given []Driver) []Driver {
	if len(given) == 0 {
		return []Driver{JSON{}}
	}
	return given
}

// FileName is a number as part of a file name: what is not an ASCII letter, digit, . or -
// becomes _, and it has at most 80 characters. Different numbers may give the same.
func FileName(number string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, number)
	name = name[:min(len(name), 80)]
	if name == "" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "-") {
		name = "_" + name
	}
	return name
}

// Delivered is a delivery whose bundle was verified.
type Delivered struct {
	Bundle *sealed.Bundle
	// List is the list inside.
	List *List
	// Manifests are those inside, in their order, each with what verification said.
	Manifests []DeliveredManifest
}

// DeliveredManifest is a manifest of a delivery.
type DeliveredManifest struct {
	Name string // of the payload in the bundle
	Manifest
	Verified Verified
	// Err is why the manifest must not be used at the moment asked about; nil for none.
	Err error
}

// OpenDelivery verifies a bundle and every manifest in it for a moment. With v.List nil the
// list inside is used; else the newer one of both counts. The error is of the bundle; what
// is wrong with a manifest is in its Err.
func (v Verifier) OpenDelivery(file io.ReaderAt, size int64, at time.Time) (*Delivered, error) {
	b, err := v.keys().OpenBundle(file, size)
	if err != nil {
		return nil, err
	}
	return v.Deliver(b, at)
}

// Deliver is OpenDelivery of a bundle that was verified.
func (v Verifier) Deliver(b *sealed.Bundle, at time.Time) (*Delivered, error) {
	if b.Header.Format != DeliveryFormat {
		return nil, fmt.Errorf("%w: a bundle of %s", sealed.ErrPurpose, b.Header.Format)
	}
	raw, err := b.Read(ListFile)
	if err != nil {
		return nil, err
	}
	v.Keys = v.keys() // what one list has revoked stays so, whichever is newer
	list, err := OpenList(v.Keys, raw, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ListFile, err)
	}
	if v.List == nil || v.List.Number < list.Number {
		v.List = list
	}
	v.Keys = v.Keys.Revoke(list.RevokedKeys())
	if r := v.Keys[b.Header.KeyID].Revoked; r != nil {
		return nil, &sealed.KeyRevokedError{KeyID: b.Header.KeyID, Revocation: *r}
	}
	out := &Delivered{Bundle: b, List: list}
	members := b.Index.Members
	fixed := []string{GuideFile, KeysFile, ListFile}
	if len(members) < len(fixed) || len(members)%2 != len(fixed)%2 {
		return nil, fmt.Errorf("%w: members of a delivery", sealed.ErrForm)
	}
	for i, m := range members {
		switch {
		case i < len(fixed) && m.Name != fixed[i], i >= len(fixed) && !strings.HasPrefix(m.Name, folder):
			return nil, fmt.Errorf("%w: member %q of a delivery", sealed.ErrForm, m.Name)
		case i < len(fixed) || (i-len(fixed))%2 == 1:
			continue
		}
		one, err := v.one(b, m.Name, members[i+1].Name, at)
		if err != nil {
			return nil, err
		}
		out.Manifests = append(out.Manifests, one)
	}
	return out, nil
}

// one verifies a pair of a bundle; the error is of the pair, not of the manifest's use.
func (v Verifier) one(b *sealed.Bundle, payload, token string, at time.Time) (m DeliveredManifest, err error) {
	m.Name = payload
	dot := strings.LastIndexByte(payload, '.')
	if dot < 0 || token != payload[:dot]+tokenFile {
		return m, fmt.Errorf("%w: %q has no signature beside it", sealed.ErrForm, payload)
	}
	if m.Payload, err = b.Read(payload); err != nil {
		return m, err
	}
	if m.JWS, err = b.Read(token); err != nil {
		return m, err
	}
	m.Verified, m.Err = v.Verify(m.Payload, m.JWS, at)
	m.Number, m.Format = m.Verified.Header.Number, m.Verified.Header.Format
	if broken(m.Err) { // the bundle is whole and what it holds is not: nothing in it is believed
		return m, fmt.Errorf("%s: %w", payload, m.Err)
	}
	return m, nil
}

// broken says whether an error is of the manifest itself and not of time or revocation: a
// bundle may be signed with a newer key than a manifest in it.
func broken(err error) bool {
	fine := []error{sealed.ErrNotYet, sealed.ErrExpired, sealed.ErrKeyRevoked, sealed.ErrKeyEnded, ErrRevoked, ErrListStale}
	return err != nil && !slices.ContainsFunc(fine, func(e error) bool { return errors.Is(err, e) })
}

// ListName is the usual name of a list's file.
func ListName(number int64) string { return "pencabutan-" + strconv.FormatInt(number, 10) + tokenFile }
