// Package vectors gives tests the published smart-card vectors of this folder.
package vectors

import (
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
)

//go:embed *.json
var files embed.FS

// Hex is bytes that are written in hexadecimal in the files.
type Hex []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

// String is upper-case hexadecimal.
func (h Hex) String() string { return fmt.Sprintf("%X", []byte(h)) }

// Exchange is one published exchange with a card, SCP02 or SCP03.
type Exchange struct {
	ID            string
	StaticKeys    struct{ ENC, MAC, DEK Hex } `json:"static_keys"`
	HostChallenge Hex                         `json:"host_challenge"`
	Initialize    Hex                         `json:"initialize_update_command"`
	Answer        Hex                         `json:"initialize_update_response_data"`
	Parsed        struct {
		KDD            Hex
		KVN            Hex
		I              Hex
		Sequence       Hex `json:"sequence_counter"`
		CardChallenge  Hex `json:"card_challenge"`
		CardCryptogram Hex `json:"card_cryptogram"`
	}
	Level        Hex         `json:"security_level"`
	Authenticate Hex         `json:"external_authenticate_command"`
	Commands     []Protected `json:"wrapped_commands_in_order"`
	Challenge    struct {
		AID Hex // with which the card made its pseudo-random challenge
	} `json:"pseudo_random_card_challenge_check"`
	Published SessionKeys `json:"published_session_keys"`
	Computed  struct {
		SessionKeys
		Authenticate Hex `json:"external_authenticate_command"`
	} `json:"computed_by_us"`
}

// SessionKeys are those of an exchange.
type SessionKeys struct {
	ENC  Hex `json:"S-ENC"`
	MAC  Hex `json:"S-MAC"`
	DEK  Hex `json:"S-DEK"`
	RMAC Hex `json:"S-RMAC"`
}

// Protected is a command before and after secure messaging, and its answer where
// that was published.
type Protected struct {
	Note     string
	Plain    Hex
	Wrapped  Hex
	Response Hex `json:"response_data_wrapped"`
	Opened   Hex `json:"response_data_plain"`
	SW       Hex
}

// CMAC is the vectors of one CMAC key.
type CMAC struct {
	ID    string
	Key   Hex
	Cases []struct {
		Len     int
		Message Hex
		MAC     Hex
	}
}

// KCV is a list of key check values.
type KCV struct {
	Cases []struct {
		Alg string // AES or 3DES
		Key Hex
		KCV Hex
	}
}

// Diversified is one master key diversified for one card.
type Diversified struct {
	ID       string
	Master   Hex
	KDD      Hex
	KCV      struct{ ENC, MAC, DEK Hex } `json:"published_kcv"`
	Computed struct{ ENC, MAC, DEK Hex } `json:"computed_by_us"`
}

// AN10922 is one key diversified by NXP's rule. DES keys are published with
// parity bits that carry a version, or as they fall.
type AN10922 struct {
	ID      string
	Master  Hex
	M       Hex
	Key     Hex `json:"diversified"`
	Raw     Hex `json:"diversified_raw"`
	Version Hex `json:"diversified_version55_first8"`
	Wrong   Hex `json:"WRONG_result_of_plain_CMAC_without_32_byte_padding"`
}

// CommandChain is a chain of C-MACs under one session key.
type CommandChain struct {
	MAC   Hex `json:"S-MAC"`
	Steps []struct {
		Plain   Hex
		Wrapped Hex
	}
}

// SessionKey is one SCP02 session key.
type SessionKey struct {
	Static   Hex `json:"static_key"`
	Constant Hex
	Sequence Hex `json:"sequence_counter"`
	Key      Hex `json:"session_key"`
	// KCV are the check values of all four, where those were published.
	KCV struct{ ENC, MAC, DEK, RMAC Hex }
}

// Cryptogram is one SCP02 authentication cryptogram. The card's challenge has
// the sequence counter before it.
type Cryptogram struct {
	ENC           Hex `json:"S-ENC"`
	HostChallenge Hex `json:"host_challenge"`
	CardChallenge Hex `json:"card_challenge_incl_seq"`
	Card          Hex `json:"card_cryptogram"`
	Host          Hex `json:"host_cryptogram"`
}

// Cryptograms is a list of them.
type Cryptograms struct{ Cases []Cryptogram }

// RetailMAC is one MAC by single DES with a final triple DES.
type RetailMAC struct{ Key, Data, MAC Hex }

// OpenSAM is the command that opens a KTP-el SAM.
type OpenSAM struct{ PCID, CONF, APDU Hex }

// Load reads the vectors with these ids, in this order.
func Load[V any](t testing.TB, ids ...string) []V {
	t.Helper()
	all := everything(t)
	out := make([]V, len(ids))
	for i, id := range ids {
		raw, ok := all[id]
		if !ok {
			t.Fatalf("no vector %s", id)
		}
		if err := json.Unmarshal(raw, &out[i]); err != nil {
			t.Fatalf("vector %s: %v", id, err)
		}
	}
	return out
}

// One reads one vector.
func One[V any](t testing.TB, id string) V {
	t.Helper()
	return Load[V](t, id)[0]
}

// everything is all vectors by their ids.
func everything(t testing.TB) map[string]json.RawMessage {
	t.Helper()
	out := map[string]json.RawMessage{}
	for _, file := range []string{"smartcard.json", "further.json"} {
		raw, err := files.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var list struct{ Vectors []json.RawMessage }
		if err := json.Unmarshal(raw, &list); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, v := range list.Vectors {
			var head struct{ ID string }
			if err := json.Unmarshal(v, &head); err != nil || head.ID == "" || out[head.ID] != nil {
				t.Fatalf("%s: vector %q: no id, or twice the same", file, head.ID)
			}
			out[head.ID] = v
		}
	}
	return out
}
