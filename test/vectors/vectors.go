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

// SCP03 is one published exchange with a card.
type SCP03 struct {
	ID         string
	Source     string
	StaticKeys struct{ ENC, MAC, DEK Hex } `json:"static_keys"`
	Initialize Hex                         `json:"initialize_update_command"`
	Answer     Hex                         `json:"initialize_update_response_data"`
	Parsed     struct {
		KVN            Hex
		I              Hex `json:"i"`
		CardCryptogram Hex `json:"card_cryptogram"`
	}
	Level        Hex `json:"security_level"`
	Authenticate Hex `json:"external_authenticate_command"`
	Commands     []struct {
		Note     string
		Plain    Hex
		Wrapped  Hex
		Response Hex `json:"response_data_wrapped"`
		Opened   Hex `json:"response_data_plain"`
		SW       Hex
	} `json:"wrapped_commands_in_order"`
	Challenge struct{ AID Hex } `json:"pseudo_random_card_challenge_check"`
}

// CMAC is the vectors of one AES-CMAC key.
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
		Alg string
		Key Hex
		KCV Hex
	}
}

// KDF3 is one master key diversified for one card.
type KDF3 struct {
	ID       string
	Master   Hex
	KDD      Hex
	KCV      struct{ ENC, MAC, DEK Hex } `json:"published_kcv"`
	Computed struct{ ENC, MAC, DEK Hex } `json:"computed_by_us"`
}

// Load reads all vectors of one file, such as "scp03.json".
func Load[V SCP03 | CMAC | KCV | KDF3](t testing.TB, file string) []V {
	t.Helper()
	raw, err := files.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out struct{ Vectors []V }
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if len(out.Vectors) == 0 {
		t.Fatalf("%s: no vectors", file)
	}
	return out.Vectors
}
