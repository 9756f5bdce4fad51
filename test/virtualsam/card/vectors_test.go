package card

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCMACVectors(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, v := range vectors(t).Vectors {
		if v.Kind != "AES-CMAC" {
			continue
		}
		for _, c := range v.Cases {
			mac := cmac(unhex(v.Key), unhex(c.Message))
			require.Equal(t, c.MAC, upperHex(mac[:]), "%s, %d bytes", v.ID, len(c.Message)/2)
			seen++
		}
	}
	require.Equal(t, 12, seen)
}

func TestKCVVectors(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, v := range vectors(t).Vectors {
		if v.Kind != "KCV" {
			continue
		}
		for _, c := range v.Cases {
			if c.Alg == "AES" {
				require.Equal(t, c.KCV, upperHex(keyCheckValue(unhex(c.Key))))
				seen++
			}
		}
	}
	require.Equal(t, 4, seen)
}

// TestSCP03Vectors replays each published session against the card's side: a
// chip with the vector's keys and sequence counter must answer INITIALIZE
// UPDATE byte for byte, accept the published EXTERNAL AUTHENTICATE, open every
// published command and seal every published response.
func TestSCP03Vectors(t *testing.T) {
	t.Parallel()
	sessions, answers := 0, 0
	levels := map[string]bool{}
	for _, v := range vectors(t).Vectors {
		if v.Kind != "SCP03" {
			continue
		}
		t.Run(v.ID, func(t *testing.T) {
			hexByte := func(name string) byte { return unhex(v.Parsed[name])[0] }
			sequence, err := strconv.ParseUint(v.Parsed["sequence_counter"], 16, 32)
			require.NoError(t, err)
			chip, err := New(Config{
				ChipID: SeedChipID(v.ID), Serial: "VECTOR", KDD: unhex(v.Parsed["kdd"]), KVN: hexByte("kvn"),
				Keys:     Keys{ENC: unhex(v.StaticKeys["ENC"]), MAC: unhex(v.StaticKeys["MAC"]), DEK: unhex(v.StaticKeys["DEK"])},
				Sequence: uint32(sequence) - 1, AID: unhex(v.PseudoRandomCheck.AID), I: hexByte("i"),
			}, &book{})
			require.NoError(t, err)

			require.Equal(t, v.InitUpdateAnswer+"9000", send(chip, v.InitUpdate))
			if want := v.SessionKeys["S-RMAC"]; want != "" {
				require.Equal(t, v.SessionKeys["S-ENC"], upperHex(chip.session.enc))
				require.Equal(t, v.SessionKeys["S-MAC"], upperHex(chip.session.mac))
				require.Equal(t, want, upperHex(chip.session.rmac))
			}
			require.Equal(t, "9000", send(chip, v.ExternalAuth))
			for _, c := range v.Commands {
				wrapped, ok := parse(unhex(c.Wrapped))
				require.True(t, ok)
				plain, ok := parse(unhex(c.Plain))
				require.True(t, ok)
				got, ok := chip.session.unwrap(wrapped)
				require.True(t, ok, c.Note)
				require.Equal(t, upperHex(plain.header(len(plain.data)))+upperHex(plain.data),
					upperHex(got.header(len(got.data)))+upperHex(got.data), c.Note)
				if c.AnswerWrapped != "" {
					require.Equal(t, c.AnswerWrapped+"9000", upperHex(chip.session.wrap(unhex(c.AnswerPlain), swOK)), c.Note)
					answers++
				}
			}
			sessions++
			levels[upperHex([]byte{chip.session.level})+"/"+strconv.Itoa(len(chip.keys.ENC))] = true
		})
	}
	require.Equal(t, 10, sessions)
	require.Equal(t, 7, answers)
	for _, want := range []string{"11/16", "03/16", "33/16", "11/24", "33/24", "11/32", "03/32", "03/24"} {
		require.Contains(t, levels, want)
	}
}

// TestSpoiltVectors holds the card to refusing what is nearly right.
func TestSpoiltVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t).Vectors {
		if v.ID != "scp03-pysim-aes128_33" {
			continue
		}
		for at := 5; at < 21; at++ {
			sequence, err := strconv.ParseUint(v.Parsed["sequence_counter"], 16, 32)
			require.NoError(t, err)
			chip, err := New(Config{
				ChipID: SeedChipID(v.ID), Serial: "VECTOR", KDD: make([]byte, 10), KVN: 0x30,
				Keys:     Keys{ENC: unhex(v.StaticKeys["ENC"]), MAC: unhex(v.StaticKeys["MAC"]), DEK: unhex(v.StaticKeys["DEK"])},
				Sequence: uint32(sequence) - 1, AID: unhex(v.PseudoRandomCheck.AID),
			}, &book{})
			require.NoError(t, err)
			send(chip, v.InitUpdate)
			spoilt := unhex(v.ExternalAuth)
			spoilt[at] ^= 0x01
			want := "6300" // the cryptogram
			if at >= 13 {
				want = "6982" // the MAC
			}
			require.Equal(t, want, upperHex(chip.Transmit(spoilt).Data), "byte %d", at)
			require.Equal(t, 1, chip.State().AuthFailures)
		}
	}
}

func TestOpenSAMVector(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t).Vectors {
		if v.ID != "ktpel-open-sam-synthetic" {
			continue
		}
		chip, log := newChip(t)
		require.Equal(t, "6985", send(chip, v.APDU), "before the values are there")
		h := dial(t, chip, oldKeys, 0x33)
		require.Equal(t, "9000", h.storeDGI(dgiPCID, unhex(v.PCID), false))
		require.Equal(t, "9000", h.storeDGI(dgiCONF, unhex(v.CONF), true))
		require.Equal(t, "9000", send(chip, v.APDU))

		wrong := unhex(v.APDU)
		wrong[10] ^= 0x80
		for range MaxOpenFailures {
			require.Equal(t, "6982", upperHex(chip.Transmit(wrong).Data))
		}
		require.Equal(t, "6983", send(chip, v.APDU), "try counter")
		require.Equal(t, []string{
			"pcid 9000", "conf 9000", "open_sam 9000",
			"open_sam 6982", "open_sam 6982", "open_sam 6982", "open_sam 6983",
		}, log.steps())
		return
	}
	t.Fatal("no vector")
}
