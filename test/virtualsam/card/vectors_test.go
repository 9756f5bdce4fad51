package card

import (
	"bytes"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/test/vectors"
)

func TestCMACVectors(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, v := range vectors.Load[vectors.CMAC](t, "aes-cmac-128", "aes-cmac-192", "aes-cmac-256") {
		for _, c := range v.Cases {
			mac := cmac(v.Key, c.Message)
			require.Equal(t, c.MAC.String(), upperHex(mac[:]), "%s, %d bytes", v.ID, len(c.Message))
			seen++
		}
	}
	require.Equal(t, 12, seen)
}

func TestKCVVectors(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for _, c := range vectors.One[vectors.KCV](t, "kcv").Cases {
		seen[c.Alg]++
		check := keyCheckValue
		if c.Alg == "3DES" {
			check = desCheckValue
		}
		require.Equal(t, c.KCV.String(), upperHex(check(c.Key)))
	}
	require.Equal(t, map[string]int{"AES": 4, "3DES": 1}, seen)
}

func TestDESMACVectors(t *testing.T) {
	t.Parallel()
	v := vectors.One[vectors.RetailMAC](t, "retail-mac-keycard")
	mac := finalMAC(v.Key, [desBlock]byte{}, v.Data)
	require.Equal(t, v.MAC.String(), upperHex(mac[:]))

	one := vectors.One[vectors.Cryptogram](t, "scp02-keycard-cryptogram")
	require.Equal(t, one.Card.String(), upperHex(fullMAC(one.ENC, one.HostChallenge, one.CardChallenge)))
	for _, c := range vectors.One[vectors.Cryptograms](t, "scp02-keycard-hostcryptogram").Cases {
		require.Equal(t, c.Host.String(), upperHex(fullMAC(c.ENC, c.CardChallenge, c.HostChallenge)))
	}
}

func TestSCP02KeyVectors(t *testing.T) {
	t.Parallel()
	v := vectors.One[vectors.SessionKey](t, "scp02-keycard-derive")
	c := newSCP02(Keys{ENC: v.Static, MAC: v.Static, DEK: v.Static}, 0, 0x15, v.Sequence, nil, nil, nil)
	require.Equal(t, "0182", v.Constant.String())
	require.Equal(t, v.Key.String(), upperHex(c.enc))

	v = vectors.One[vectors.SessionKey](t, "scp02-gppro-sessionkey-kcv")
	c = newSCP02(Keys{ENC: v.Static, MAC: v.Static, DEK: v.Static}, 0, 0x15, v.Sequence, nil, nil, nil)
	for i, want := range []vectors.Hex{v.KCV.ENC, v.KCV.MAC, v.KCV.DEK, v.KCV.RMAC} {
		require.Equal(t, want.String(), upperHex(desCheckValue([][]byte{c.enc, c.mac, c.dek, c.rmac}[i])))
	}

	chain := vectors.One[vectors.CommandChain](t, "scp02-keycard-wrapper")
	c = &scp02{i: 0x15, mac: chain.MAC, sessionState: sessionState{level: levelCMAC}}
	for _, step := range chain.Steps {
		cmd, ok := parse(step.Wrapped)
		require.True(t, ok)
		_, ok = c.unwrap(cmd)
		require.True(t, ok)
	}
}

// vectorChip is a chip with a vector's keys and sequence counter.
func vectorChip(t *testing.T, v vectors.Exchange, cfg Config) *Chip {
	t.Helper()
	cfg.ChipID, cfg.Serial, cfg.KDD, cfg.KVN = SeedChipID(v.ID), "VECTOR", v.Parsed.KDD, v.Parsed.KVN[0]
	cfg.Keys = Keys{ENC: []byte(v.StaticKeys.ENC), MAC: []byte(v.StaticKeys.MAC), DEK: []byte(v.StaticKeys.DEK)}
	for _, b := range v.Parsed.Sequence {
		cfg.Sequence = cfg.Sequence<<8 | uint32(b)
	}
	if cfg.Protocol != SCP02 {
		cfg.Sequence-- // it counts at INITIALIZE UPDATE
	}
	chip, err := New(cfg, &book{})
	require.NoError(t, err)
	return chip
}

// replay opens every published command and seals every published response.
func replay(t *testing.T, chip *Chip, v vectors.Exchange) (answers int) {
	t.Helper()
	for _, c := range v.Commands {
		wrapped, ok := parse(c.Wrapped)
		require.True(t, ok)
		plain, ok := parse(c.Plain)
		require.True(t, ok)
		got, ok := opened(chip.session, wrapped)
		require.True(t, ok, c.Note)
		require.Equal(t, upperHex(plain.header(len(plain.data)))+upperHex(plain.data),
			upperHex(got.header(len(got.data)))+upperHex(got.data), c.Note)
		if len(c.Response) > 0 {
			require.Equal(t, c.Response.String()+"9000", upperHex(sealed(chip.session, c.Opened, swOK)), c.Note)
			answers++
		}
	}
	return answers
}

// TestSCP03Vectors replays each published session against the card's side: a
// chip with the vector's keys and sequence counter must answer INITIALIZE
// UPDATE byte for byte, accept the published EXTERNAL AUTHENTICATE, open every
// published command and seal every published response.
func TestSCP03Vectors(t *testing.T) {
	t.Parallel()
	sessions, answers := 0, 0
	levels := map[string]bool{}
	for _, v := range vectors.Load[vectors.Exchange](t,
		"scp03-pysim-aes128_11", "scp03-pysim-aes128_03", "scp03-pysim-aes128_33", "scp03-pysim-aes192_11", "scp03-pysim-aes192_33",
		"scp03-pysim-aes256_11", "scp03-pysim-aes256_03", "scp03-kaoh-delete", "scp03-kaoh-mutual", "scp03-kaoh-aes192") {
		t.Run(v.ID, func(t *testing.T) {
			chip := vectorChip(t, v, Config{AID: v.Challenge.AID, I: v.Parsed.I[0]})
			require.Equal(t, v.Answer.String()+"9000", send(chip, v.Initialize.String()))
			if want := v.Published.RMAC; want != nil {
				session := chip.session.(*scp03)
				require.Equal(t, v.Published.ENC.String(), upperHex(session.enc))
				require.Equal(t, v.Published.MAC.String(), upperHex(session.mac))
				require.Equal(t, want.String(), upperHex(session.rmac))
			}
			require.Equal(t, "9000", send(chip, v.Authenticate.String()))
			answers += replay(t, chip, v)
			sessions++
			levels[upperHex([]byte{chip.session.state().level})+"/"+strconv.Itoa(len(chip.keys.ENC))] = true
		})
	}
	require.Equal(t, 10, sessions)
	require.Equal(t, 7, answers)
	for _, want := range []string{"11/16", "03/16", "33/16", "11/24", "33/24", "11/32", "03/32", "03/24"} {
		require.Contains(t, levels, want)
	}
}

// TestSCP02Vectors does the same for SCP02. One published card makes its
// challenge from its AID (i=55); the others draw it, and are given the published
// one.
func TestSCP02Vectors(t *testing.T) {
	t.Parallel()
	commands := 0
	for _, v := range vectors.Load[vectors.Exchange](t,
		"scp02-pysim-cmac", "scp02-kaoh-getstatus-cmac", "scp02-keycard-session", "scp02-kaoh-install-cdec") {
		t.Run(v.ID, func(t *testing.T) {
			cfg := Config{Protocol: SCP02, Random: bytes.NewReader(v.Parsed.CardChallenge)}
			if v.ID == "scp02-keycard-session" {
				cfg = Config{Protocol: SCP02, I: 0x55, AID: unhex("A000000151000000")}
				v.Authenticate = v.Computed.Authenticate
			}
			chip := vectorChip(t, v, cfg)
			// The chip refuses a key version it does not have; one vector asks for one.
			require.Equal(t, v.Answer.String()+"9000", send(chip, "8050000008"+v.HostChallenge.String()+"00"))
			if want := v.Computed.RMAC; want != nil {
				session := chip.session.(*scp02)
				for i, want := range []vectors.Hex{v.Computed.ENC, v.Computed.MAC, v.Computed.DEK, want} {
					require.Equal(t, want.String(), upperHex([][]byte{session.enc, session.mac, session.dek, session.rmac}[i]))
				}
			}
			require.Equal(t, "9000", send(chip, v.Authenticate.String()))
			replay(t, chip, v)
			commands += len(v.Commands)
		})
	}
	require.Equal(t, 8, commands)
}

// TestSpoiltVectors holds the card to refusing what is nearly right.
func TestSpoiltVectors(t *testing.T) {
	t.Parallel()
	scp03 := vectors.One[vectors.Exchange](t, "scp03-pysim-aes128_33")
	scp02 := vectors.One[vectors.Exchange](t, "scp02-kaoh-install-cdec")
	for at := 5; at < 21; at++ {
		for _, v := range []vectors.Exchange{scp03, scp02} {
			cfg := Config{AID: v.Challenge.AID}
			if v.Challenge.AID == nil {
				cfg.Protocol, cfg.Random = SCP02, bytes.NewReader(v.Parsed.CardChallenge)
			}
			chip := vectorChip(t, v, cfg)
			before := chip.sequence
			send(chip, v.Initialize.String())
			spoilt := bytes.Clone(v.Authenticate)
			spoilt[at] ^= 0x01
			want := "6300" // the cryptogram
			if at >= 13 {
				want = "6982" // the MAC
			}
			require.Equal(t, want, upperHex(chip.Transmit(spoilt).Data), "%s byte %d", v.ID, at)
			require.Equal(t, 1, chip.State().AuthFailures)
			if cfg.Protocol == SCP02 {
				require.Equal(t, before, chip.sequence, "only a session that opens is counted")
			}
		}
	}
	// A changed byte of a command ends the session, whichever byte it is.
	wrapped := scp02.Commands[0].Wrapped
	for at := range len(wrapped) - 1 {
		if at == 4 {
			continue // the length makes another command of it
		}
		chip := vectorChip(t, scp02, Config{Protocol: SCP02, Random: bytes.NewReader(scp02.Parsed.CardChallenge)})
		send(chip, scp02.Initialize.String())
		require.Equal(t, "9000", send(chip, scp02.Authenticate.String()))
		spoilt := bytes.Clone(wrapped)
		spoilt[at] ^= 0x01
		require.Equal(t, "6982", upperHex(chip.Transmit(spoilt).Data), "byte %d", at)
		require.Equal(t, "6982", upperHex(chip.Transmit(wrapped).Data), "aborted")
	}
}

func TestOpenSAMVector(t *testing.T) {
	t.Parallel()
	v := vectors.One[vectors.OpenSAM](t, "ktpel-open-sam-synthetic")
	chip, log := newChip(t)
	require.Equal(t, "6985", send(chip, v.APDU.String()), "before the values are there")
	h := dial(t, chip, oldKeys, 0x33)
	require.Equal(t, "9000", h.storeDGI(dgiPCID, v.PCID, false))
	require.Equal(t, "9000", h.storeDGI(dgiCONF, v.CONF, true))
	require.Equal(t, "9000", send(chip, v.APDU.String()))

	wrong := bytes.Clone(v.APDU)
	wrong[10] ^= 0x80
	for range MaxOpenFailures {
		require.Equal(t, "6982", upperHex(chip.Transmit(wrong).Data))
	}
	require.Equal(t, "6983", send(chip, v.APDU.String()), "try counter")
	require.Equal(t, []string{
		"pcid 9000", "conf 9000", "open_sam 9000",
		"open_sam 6982", "open_sam 6982", "open_sam 6982", "open_sam 6983",
	}, log.steps())
}
