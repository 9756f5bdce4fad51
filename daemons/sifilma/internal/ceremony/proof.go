package ceremony

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

// Proof is what a token answers to a challenge, key by key. It shows which keys the
// token holds and tells nothing of them, so that it may be carried about as a file.
type Proof struct {
	Challenge string            `json:"challenge"` // 32 bytes, hexadecimal
	Token     pkcs11.Info       `json:"token"`
	At        time.Time         `json:"at"`
	Keys      map[string]Answer `json:"keys"` // by label
}

// Answer is what one key gives.
type Answer struct {
	Kind string `json:"kind"`
	KCV  string `json:"kcv"`
	// Answer is the CMAC of the challenge under a card key that the master gives for a
	// card of the challenge's own; six digits of a check value alone can agree by chance.
	Answer string `json:"answer"`
}

const (
	challengeBytes = 32
	cardBytes      = 10 // diversification data of a card
)

// NewChallenge draws a challenge from a token.
func NewChallenge(ctx context.Context, t *pkcs11.Token) ([]byte, error) {
	return t.Random(ctx, challengeBytes)
}

// Prove answers a challenge with the keys of a token: those with the labels given, or
// all keys. A label that the token does not have is left out; a key that may
// not do what a master does has no answer.
func Prove(ctx context.Context, t *pkcs11.Token, challenge []byte, labels ...string) (Proof, error) {
	p := Proof{Challenge: fmt.Sprintf("%X", challenge), At: time.Now().UTC(), Keys: map[string]Answer{}}
	if len(challenge) != challengeBytes {
		return p, fmt.Errorf("ceremony: tantangan %d byte; seharusnya %d", len(challenge), challengeBytes)
	}
	var err error
	if p.Token, err = t.Info(ctx); err != nil {
		return p, err
	}
	if len(labels) == 0 {
		if labels, err = t.Labels(ctx); err != nil {
			return p, err
		}
		pairs, err := t.SigningLabels(ctx)
		if err != nil {
			return p, err
		}
		labels = append(labels, pairs...)
	}
	for _, label := range labels {
		key, err := t.FindKey(ctx, label)
		if errors.Is(err, pkcs11.ErrKeyNotFound) {
			pair, err := answerPair(ctx, t, label)
			if err == nil {
				p.Keys[label] = pair
			} else if !errors.Is(err, pkcs11.ErrKeyNotFound) && !errors.Is(err, pkcs11.ErrKeyUse) {
				return p, fmt.Errorf("ceremony: %s: %w", label, err)
			}
			continue
		}
		if errors.Is(err, pkcs11.ErrKeyUse) { // of another cipher
			continue
		}
		if err != nil {
			return p, err
		}
		p.Keys[label], err = answer(ctx, t, key, challenge)
		if errors.Is(err, pkcs11.ErrKeyUse) { // not a master of ours; it is said, and proves nothing
			p.Keys[label], err = Answer{Kind: Kind{key.Algorithm(), 8 * key.Size()}.String()}, nil
		}
		if err != nil {
			return p, fmt.Errorf("ceremony: %s: %w", label, err)
		}
	}
	return p, nil
}

func answer(ctx context.Context, t *pkcs11.Token, master *pkcs11.Key, challenge []byte) (Answer, error) {
	about, err := look(ctx, master)
	if err != nil {
		return Answer{}, err
	}
	card, err := cardKey(ctx, t, master, challenge[:cardBytes])
	if err != nil {
		return Answer{}, err
	}
	mac, err := card.CMAC(ctx, challenge)
	return Answer{about.Kind.String(), about.KCV, fmt.Sprintf("%X", mac)}, errors.Join(err, card.Close())
}

// cardKey is the MAC key of a card that does not exist.
func cardKey(ctx context.Context, t *pkcs11.Token, master *pkcs11.Key, card []byte) (*pkcs11.Key, error) {
	if master.Algorithm() == pkcs11.DES {
		return master.DeriveCard(ctx, pkcs11.EMVCPS, pkcs11.PurposeMAC, card, pkcs11.UseMAC)
	}
	value, err := master.KDF3(ctx, pkcs11.PurposeMAC, card, 16)
	if err != nil {
		return nil, err
	}
	defer pkcs11.Zeroise(value)
	return t.TransientAES(ctx, value, pkcs11.UseMAC)
}

// ReadProof reads a proof from a file.
func ReadProof(r io.Reader) (p Proof, challenge []byte, err error) {
	if err = json.NewDecoder(io.LimitReader(r, 1<<20)).Decode(&p); err == nil {
		challenge, err = hex.DecodeString(p.Challenge)
	}
	if err != nil || len(challenge) != challengeBytes {
		return p, nil, errors.New("berkas bukti tidak terbaca; buat lagi dengan sifilma keys proof")
	}
	return p, challenge, nil
}

// Difference is what a comparison says of one key.
type Difference string

// Differences, as people read them.
const (
	Same        Difference = "sama"
	Missing     Difference = "TIDAK ADA di token cadangan"
	Another     Difference = "KUNCI LAIN"
	OnlyThere   Difference = "hanya ada di token cadangan"
	NotSameKind Difference = "JENIS LAIN"
	Unchecked   Difference = "TIDAK DAPAT DIPERIKSA"
)

// Compared is a line of a comparison.
type Compared struct {
	Label       string
	Main, Spare Answer
	Says        Difference
}

// Compare puts the answers of two tokens to one challenge side by side, by label. ok
// says that the spare one holds every key of the main one.
func Compare(main, spare Proof) (lines []Compared, ok bool, err error) {
	if main.Challenge != spare.Challenge {
		return nil, false, errors.New("ceremony: the proofs answer two challenges")
	}
	all := maps.Clone(spare.Keys)
	maps.Copy(all, main.Keys)
	ok = len(main.Keys) > 0
	for _, label := range slices.Sorted(maps.Keys(all)) {
		m, here := main.Keys[label]
		s, there := spare.Keys[label]
		line := Compared{label, m, s, Same}
		switch {
		case !here:
			line.Says = OnlyThere
		case !there:
			line.Says = Missing
		case m.Kind != s.Kind:
			line.Says = NotSameKind
		case m.Answer == "" || s.Answer == "":
			line.Says = Unchecked
		case m.KCV != s.KCV || m.Answer != s.Answer:
			line.Says = Another
		}
		ok = ok && (line.Says == Same || line.Says == OnlyThere)
		lines = append(lines, line)
	}
	return lines, ok, nil
}
