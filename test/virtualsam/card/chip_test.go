package card

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	marker = unhex("0102030405060708090A0B0C0D0E0F10")
	pcid   = unhex("A1B2C3D4E5F60718293A4B5C6D7E8F90")
	conf   = unhex("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F")
)

func TestIdentity(t *testing.T) {
	t.Parallel()
	chip, _ := newChip(t)
	atr := chip.ATR()
	var check byte
	for _, b := range atr[1:] {
		check ^= b
	}
	require.Zero(t, check, "TCK")
	require.Equal(t, byte(0x81), atr[2], "T=1 is offered first")

	cases := map[string]string{
		"00A4040000":                   "6F108408A000000151000000A5049F6501FF9000",
		"00A4040008A00000015100000000": "6F108408A000000151000000A5049F6501FF9000",
		"00A4040005A00000015100":       "6F108408A000000151000000A5049F6501FF9000",
		"00A4040005A00000000300":       "6A82",
		"80CA004500":                   "450853414D2D303030319000",
		"00CA00E000":                   "E012C00401308810C00402308810C004033088109000",
		"80CA00C100":                   "C1030000009000",
		"80CA006600":                   "6631732F06072A864886FC6B01600C060A2A864886FC6B02020301630906072A864886FC6B03640B06092A864886FC6B0403709000",
		"80CADF0100":                   "6A88",
		"80CADF0200":                   "6A88",
		"80CADF0300":                   "6982",
		"80CADF0400":                   "6A88",
		"80CA123400":                   "6A88",
		"00F7000000":                   upperHex(SeedChipID("a")) + "9000",
		"80F28002024F0000":             "E3134F08A0000001510000009F700101C5039EFE809000",
		"80F24002024F0000":             "6A88",
		"80F08007":                     "6982",
		"80E288000400":                 "6700",
		"80E2880004DF010100":           "6982",
		"8010000000":                   "6D00",
		"B0CA004500":                   "6E00",
		"84CA004500":                   "6982",
		"80CA":                         "6700",
		"8482010010000102030405060708090A0B0C0D0E0F": "6985",
	}
	for apdu, want := range cases {
		require.Equal(t, want, send(chip, apdu), apdu)
	}

	cplc := chip.Transmit(unhex("80CA9F7F00")).Data
	require.Len(t, cplc, 3+42+2)
	body := cplc[3:45]
	id := append(append(append(append([]byte(nil), body[0:2]...), body[10:12]...), body[12:16]...), body[16:18]...)
	require.Equal(t, SeedChipID("a"), id)
	require.NotContains(t, upperHex(cplc), upperHex([]byte("SAM-0001")))
}

// TestPersonalise walks the whole way at every level that may write.
func TestPersonalise(t *testing.T) {
	t.Parallel()
	for _, level := range []byte{0x01, 0x03, 0x11, 0x13, 0x33} {
		t.Run(fmt.Sprintf("%02X", level), func(t *testing.T) {
			t.Parallel()
			chip, log := newChip(t)
			h := dial(t, chip, oldKeys, level)
			require.Equal(t, "9000", h.storeDGI(dgiMarker, marker, false))
			require.Equal(t, "9000", h.send(unhex("80F0800700")))
			require.Equal(t, "9000", h.storeDGI(dgiPCID, pcid, false))
			require.Equal(t, "9000", h.storeDGI(dgiCONF, conf, true))
			require.Equal(t, "9000", h.storeDGI(dgiManifest, []byte("MNF/0001"), false))
			require.Equal(t, "DF0210"+upperHex(pcid)+"9000", h.send(unhex("80CADF0200")))
			require.Equal(t, "6982", h.send(unhex("80CADF0300")))
			want := "31"
			for _, k := range [][]byte{newKeys.ENC, newKeys.MAC, newKeys.DEK} {
				want += upperHex(keyCheckValue(k))
			}
			require.Equal(t, want+"9000", h.putKey(0x30, 0x31, newKeys, false))
			require.Equal(t, "6982", h.storeDGI(dgiPCID, pcid, false), "the session of the old keys writes no more")
			require.Equal(t, "C1030000009000", h.send(unhex("80CA00C100")))

			old := &host{t: t, chip: chip, keys: oldKeys}
			require.Equal(t, "6300", old.authenticate(level))
			h = dial(t, chip, newKeys, level)
			require.Zero(t, chip.State().AuthFailures, "a success resets the counter")
			open := unhex("00F0000020A1B3C1D7E1F3011F213341576173819FB1A3D1C7F1E3110F312351477163918F")
			require.Equal(t, "9000", upperHex(chip.Transmit(open).Data))
			require.Equal(t, "9000", h.send(unhex("80F0800F00")))
			require.Equal(t, "E3134F08A0000001510000009F70010FC5039EFE809000", h.send(unhex("80F28002024F0000")))
			require.Equal(t, []string{
				"marker 9000", "status 9000", "pcid 9000", "conf 9000", "manifest 9000",
				"putkey 9000", "auth_failed 6300", "open_sam 9000", "status 9000",
			}, log.steps())
			for _, e := range log.entries {
				if e.Step == StepCONF || e.Step == StepPutKey {
					require.Empty(t, e.Digest)
				}
			}
		})
	}
}

// A chip tells whoever looks for leaks what was secret between it and a terminal: both
// keysets, the keys of each session, what was stored and what opens it.
func TestSecrets(t *testing.T) {
	t.Parallel()
	chip, _ := newChip(t)
	first := dial(t, chip, oldKeys, 0x33)
	conf := unhex("00112233445566778899AABBCCDDEEFF0123456789ABCDEF0123456789ABCDEF")
	require.Equal(t, "9000", first.storeDGI(dgiCONF, conf, true))
	require.Contains(t, first.putKey(0x30, 0x31, newKeys, false), "9000")
	second := dial(t, chip, newKeys, 0x33)
	want := []Secret{
		{"ENC of keyset 0", oldKeys.ENC}, {"MAC of keyset 0", oldKeys.MAC}, {"DEK of keyset 0", oldKeys.DEK},
		{"S-ENC of session 1", first.session.enc}, {"S-MAC of session 1", first.session.mac}, {"S-RMAC of session 1", first.session.rmac},
		{"CONF", conf},
		{"ENC of keyset 1", newKeys.ENC}, {"MAC of keyset 1", newKeys.MAC}, {"DEK of keyset 1", newKeys.DEK},
		{"S-ENC of session 2", second.session.enc}, {"S-MAC of session 2", second.session.mac}, {"S-RMAC of session 2", second.session.rmac},
	}
	require.Equal(t, want, chip.Secrets())
}

func TestWriteRules(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		level byte
		run   func(h *host) string
		want  string
	}{
		{"no C-MAC, no write", 0x00, func(h *host) string { return h.storeDGI(dgiMarker, marker, false) }, "6982"},
		{"no C-MAC, no status", 0x00, func(h *host) string { return h.send(unhex("80F0800700")) }, "6982"},
		{"a marker has 16 bytes", 0x01, func(h *host) string { return h.storeDGI(dgiMarker, marker[1:], false) }, "6A80"},
		{"the same marker again", 0x01, func(h *host) string {
			h.storeDGI(dgiMarker, marker, false)
			return h.storeDGI(dgiMarker, marker, false)
		}, "9000"},
		{"another marker", 0x01, func(h *host) string {
			h.storeDGI(dgiMarker, marker, false)
			return h.storeDGI(dgiMarker, pcid, false)
		}, "6985"},
		{"unknown grouping", 0x01, func(h *host) string { return h.storeDGI(0xDF09, marker, false) }, "6A88"},
		{"control characters in the manifest", 0x01, func(h *host) string { return h.storeDGI(dgiManifest, []byte{7}, false) }, "6A80"},
		{"BER-TLV format", 0x01, func(h *host) string { return h.send(unhex("80E290000411223344")) }, "6A86"},
		{"cut grouping in the last block", 0x01, func(h *host) string { return h.send(unhex("80E2880004DF011001")) }, "6A80"},
		{"first block numbered 1", 0x01, func(h *host) string { return h.send(unhex("80E2080104DF011001")) }, "6A86"},
		{"SECURED at once", 0x01, func(h *host) string { return h.send(unhex("80F0800F00")) }, "6985"},
		{"the state it is in", 0x01, func(h *host) string {
			h.send(unhex("80F0800700"))
			return h.send(unhex("80F0800700"))
		}, "6985"},
		{"backwards", 0x01, func(h *host) string {
			h.send(unhex("80F0800700"))
			return h.send(unhex("80F0800100"))
		}, "6985"},
		{"wrong check value", 0x01, func(h *host) string { return h.putKey(0x30, 0x31, newKeys, true) }, "6982"},
		{"version that is not there", 0x01, func(h *host) string { return h.putKey(0x29, 0x31, newKeys, false) }, "6A88"},
		{"another key size", 0x01, func(h *host) string {
			long := Keys{ENC: append(newKeys.ENC, newKeys.ENC...), MAC: append(newKeys.MAC, newKeys.MAC...), DEK: append(newKeys.DEK, newKeys.DEK...)}
			return h.putKey(0x30, 0x31, long, false)
		}, "6A80"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			chip, _ := newChip(t)
			h := dial(t, chip, oldKeys, c.level)
			require.Equal(t, c.want, c.run(h))
			require.Equal(t, "30", chip.State().KVN)
			if c.level != 0 {
				require.Equal(t, "450853414D2D303030319000", h.send(unhex("80CA004500")), "the session lives on")
			}
		})
	}
}

// TestBlocks splits one grouping over blocks and breaks the numbering.
func TestBlocks(t *testing.T) {
	t.Parallel()
	chip, _ := newChip(t)
	h := dial(t, chip, oldKeys, 0x03)
	first, second := "80E2080007DF01100102030400", "80E288010C05060708090A0B0C0D0E0F1000"
	require.Equal(t, "9000", h.send(unhex(first)))
	require.Empty(t, chip.State().Marker)
	require.Equal(t, "6A86", h.send(unhex("80E288020C05060708090A0B0C0D0E0F1000")), "gap")
	require.Equal(t, "6A86", h.send(unhex(second)), "the error sent it back to block 0")
	require.Equal(t, "9000", h.send(unhex(first)))
	require.Equal(t, "9000", h.send(unhex(second)))
	require.Equal(t, upperHex(marker), chip.State().Marker)
	require.Equal(t, "9000", h.send(unhex(first)), "the last block starts a new sequence")

	chip.Reset()
	h = dial(t, chip, oldKeys, 0x03)
	require.Equal(t, "6A86", h.send(unhex(second)), "reset forgets the sequence")
}

func TestOtherKeySizes(t *testing.T) {
	t.Parallel()
	long := func(k Keys, n int) Keys {
		grow := func(b []byte) []byte { return append(append([]byte(nil), b...), b...)[:n] }
		return Keys{ENC: grow(k.ENC), MAC: grow(k.MAC), DEK: grow(k.DEK)}
	}
	for _, n := range []int{24, 32} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			chip, err := New(Config{ChipID: SeedChipID("long"), Serial: "S", KVN: 0x01, Keys: long(oldKeys, n)}, &book{})
			require.NoError(t, err)
			h := dial(t, chip, long(oldKeys, n), 0x33)
			require.Equal(t, "9000", h.storeDGI(dgiCONF, conf, true))
			require.Regexp(t, "^02.{18}9000$", h.putKey(0x01, 0x02, long(newKeys, n), false))
			dial(t, chip, long(newKeys, n), 0x33)
		})
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	chip, log := newChip(t)
	wrong := &host{t: t, chip: chip, keys: Keys{ENC: oldKeys.ENC, MAC: newKeys.MAC, DEK: oldKeys.DEK}}
	for range MaxAuthFailures {
		require.Equal(t, "6300", wrong.authenticate(0x01))
	}
	right := &host{t: t, chip: chip, keys: oldKeys}
	require.Equal(t, "6983", right.authenticate(0x01), "locked for good")
	require.Len(t, log.entries, MaxAuthFailures)
	require.Equal(t, "0A", log.entries[9].Value)
}

func TestSessionRules(t *testing.T) {
	t.Parallel()
	chip, _ := newChip(t)
	h := dial(t, chip, oldKeys, 0x01)
	require.Equal(t, "6982", send(chip, "80CA004500"), "plain command in a session with C-MAC")
	require.Equal(t, "6982", send(chip, "80CA004500"), "aborted until a new start")
	require.Equal(t, "6982", h.send(unhex("80CA004500")))
	require.Equal(t, "6F108408A000000151000000A5049F6501FF9000", send(chip, "00A4040000"))
	require.Equal(t, "450853414D2D303030319000", send(chip, "80CA004500"))

	h = dial(t, chip, oldKeys, 0x01)
	h.session.chain[0] ^= 1
	require.Equal(t, "6982", h.send(unhex("80CA004500")), "broken chain")

	h = dial(t, chip, oldKeys, 0x33)
	chip.Reset()
	require.Equal(t, "6982", h.send(unhex("80CA004500")), "reset ends the session")
	require.Equal(t, "450853414D2D303030319000", send(chip, "80CA004500"))
	require.Equal(t, "6A88", send(chip, "80502F0008010203040506070800"), "version not there")
	require.Equal(t, "C1030000039000", send(chip, "80CA00C100"), "the counter outlives reset")
}

func TestFaults(t *testing.T) {
	t.Parallel()
	steps := map[Step]func(h *host) string{
		StepMarker:   func(h *host) string { return h.storeDGI(dgiMarker, marker, false) },
		StepPCID:     func(h *host) string { return h.storeDGI(dgiPCID, pcid, false) },
		StepCONF:     func(h *host) string { return h.storeDGI(dgiCONF, conf, true) },
		StepManifest: func(h *host) string { return h.storeDGI(dgiManifest, []byte("M"), false) },
		StepPutKey:   func(h *host) string { return h.putKey(0x30, 0x31, newKeys, false) },
		StepStatus:   func(h *host) string { return h.send(unhex("80F0800700")) },
	}
	for step, run := range steps {
		t.Run(string(step), func(t *testing.T) {
			t.Parallel()
			chip, log := newChip(t)
			h := dial(t, chip, oldKeys, 0x03)
			before := chip.State()
			chip.SetFault(Fault{MemoryFailureAt: step})
			require.Equal(t, "6581", run(h))
			chip.SetFault(Fault{MemoryFullAt: step})
			require.Equal(t, "6A84", run(h))
			chip.SetFault(Fault{})
			require.Equal(t, before, chip.State(), "nothing was written")

			chip.SetFault(Fault{VanishAtStep: step})
			require.Empty(t, run(h))
			chip.Reset()
			require.Equal(t, before, chip.State(), "torn out before the write")
			require.Len(t, log.entries, 2)

			chip.SetFault(Fault{VanishAtStep: step, Executed: true})
			h = dial(t, chip, oldKeys, 0x03)
			require.Empty(t, run(h))
			chip.Reset()
			chip.SetFault(Fault{})
			require.NotEqual(t, before, chip.State(), "torn out after the write")
			require.Equal(t, string(step)+" 9000", log.steps()[2])
		})
	}
}

func TestFaultsOfTheAnswer(t *testing.T) {
	t.Parallel()
	chip, log := newChip(t)
	chip.SetFault(Fault{MuteAtAPDU: 2, SlowMS: 30})
	first := chip.Transmit(unhex("00F7000000"))
	require.Equal(t, Answered, first.Fate)
	require.EqualValues(t, 30, first.Delay.Milliseconds())
	require.Equal(t, Mute, chip.Transmit(unhex("00F7000000")).Fate)
	require.Equal(t, Mute, chip.Transmit(unhex("00F7000000")).Fate, "dead until reset")
	chip.Reset()
	require.Equal(t, Answered, chip.Transmit(unhex("00F7000000")).Fate, "struck once")

	chip.SetFault(Fault{VanishAtAPDU: 1})
	require.Equal(t, Vanish, chip.Transmit(unhex("8050000008010203040506070800")).Fate)
	require.Equal(t, "C1030000009000", send(chip, "80CA00C100"), "not executed")

	chip.SetFault(Fault{WrongCryptogram: true})
	spoilt := send(chip, "8050000008010203040506070800")
	chip.SetFault(Fault{})
	c := newSCP03(oldKeys, 0, 0x70, unhex("000001"), defaultAID, unhex("0102030405060708"))
	require.Equal(t, upperHex(c.challenge), spoilt[26:42])
	require.NotEqual(t, upperHex(c.cryptogram), spoilt[42:58])

	h := dial(t, chip, oldKeys, 0x01)
	chip.SetFault(Fault{WrongKCV: true})
	answer := h.putKey(0x30, 0x31, newKeys, false)
	require.NotContains(t, answer, upperHex(keyCheckValue(newKeys.DEK)))
	chip.SetFault(Fault{})
	h = dial(t, chip, newKeys, 0x01)

	log.fail = errors.New("disk full")
	require.Equal(t, "6F00", h.storeDGI(dgiMarker, marker, false), "what cannot be recorded is not written")
	require.Empty(t, chip.State().Marker)
}

func TestConfigRefused(t *testing.T) {
	t.Parallel()
	good := Config{ChipID: SeedChipID("x"), Serial: "S", KVN: 1, Keys: oldKeys}
	cases := map[string]func(*Config){
		"chip id":    func(c *Config) { c.ChipID = nil },
		"serial":     func(c *Config) { c.Serial = "" },
		"version":    func(c *Config) { c.KVN = 0x80 },
		"life cycle": func(c *Config) { c.LifeCycle = 0x7F },
		"marker":     func(c *Config) { c.Marker = []byte{1} },
		"key length": func(c *Config) { c.Keys.ENC = c.Keys.ENC[1:] },
		"key mix":    func(c *Config) { c.Keys.DEK = append(c.Keys.DEK, c.Keys.DEK...) },
		"protocol":   func(c *Config) { c.Protocol = 0x01 },
		"implicit":   func(c *Config) { c.Protocol, c.I = SCP02, 0x1A },
		"long DES": func(c *Config) {
			long := append(append([]byte(nil), oldKeys.ENC...), oldKeys.ENC[:8]...)
			c.Protocol, c.Keys = SCP02, Keys{ENC: long, MAC: long, DEK: long}
		},
	}
	for name, spoil := range cases {
		cfg := good
		spoil(&cfg)
		_, err := New(cfg, &book{})
		require.Error(t, err, name)
	}
	require.Equal(t, "three keys of 128 bits, three keys of 128 bits", fmt.Sprintf("%v, %#v", oldKeys, oldKeys), "keys never print")
}
