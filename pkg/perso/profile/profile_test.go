package profile_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
)

func shipped(t *testing.T, name string) []byte {
	t.Helper()
	file, err := configs.Profile(name)
	require.NoError(t, err)
	return file
}

func TestShippedProfileIsGood(t *testing.T) {
	t.Parallel()
	p, err := profile.Parse(shipped(t, "gp-scp03-sam"))
	require.NoError(t, err)
	require.NoError(t, p.Runnable())
	require.Equal(t, "gp-scp03-sam/1", p.Label())
	require.Len(t, p.SHA256, 32)
	require.Equal(t, profile.Unknown, p.ClassOf(0x6F00))
	require.Equal(t, profile.Refuses, p.ClassOf(0x6581))
	require.EqualValues(t, 0xDF03, p.Data.Secret)
	require.Zero(t, p.Keys.Transport, "keys come with a Kode Kunci")
	file, err := configs.KeyCode("ktpel")
	require.NoError(t, err)
	k, err := profile.ParseKeyCode(file)
	require.NoError(t, err)
	p.Use(k)
	require.EqualValues(t, 0x30, p.Keys.Transport.Version)
	require.Equal(t, "sam-final-master", p.Keys.Final.Master)
}

// Profiles that stations cannot work with yet are known as such, and never tried.
func TestWhatStationsCannotDoIsSaid(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"iso7816-raw", "gp-scp02-sam"} {
		p, err := profile.Parse(shipped(t, name))
		require.NoError(t, err, name)
		require.NoError(t, p.Runnable(), name)
	}
	for old, c := range map[string]struct{ new, says string }{
		`"protocol": "scp03"`: {`"protocol": "scp03", "option": "70"`, "option"},
	} {
		p, err := profile.Parse(replaced(t, old, c.new))
		require.NoError(t, err, old)
		require.ErrorIs(t, p.Runnable(), profile.ErrNotBuilt)
		require.ErrorContains(t, p.Runnable(), c.says)
	}
}

func replaced(t *testing.T, old, changed string) []byte {
	t.Helper()
	file := shipped(t, "gp-scp03-sam")
	require.True(t, bytes.Contains(file, []byte(old)), old)
	return []byte(strings.Replace(string(file), old, changed, 1))
}

func TestProfileFaultsAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, says string }{
		"unknown key":      {`"version": 1,`, `"version": 1, "colour": "red",`, "colour"},
		"scheme":           {`"kdf3"`, `"emv"`, "/keys/diversification differs"},
		"key size":         {`"bytes": 16`, `"bytes": 24`, "/keys/bytes differs"},
		"level of SCP02":   {`"scp03"`, `"scp02"`, "/channel/security_level"},
		"two documents":    {"\n}\n", "\n}\n{}", "more than one"},
		"level":            {`"33"`, `"03"`, "/channel/security_level"},
		"tag twice":        {`"DF02"`, `"DF01"`, "/data same"},
		"tag form":         {`"DF02"`, `"DF2"`, "hexadecimal"},
		"marker not first": {`"do": "marker", "shows": ["marker"]`, `"do": "numbers", "shows": ["pcid"]`, "/steps wrong_order"},
		"sight":            {`"do": "keys", "shows": ["key_version"]`, `"do": "keys", "shows": ["pcid"]`, "/steps/4/shows differs"},
		"secret is seen":   {`"do": "secret"`, `"do": "secret", "shows": ["marker"]`, "/steps/3/shows differs"},
		"check that shows": {`"do": "open_sam"`, `"do": "open_sam", "shows": ["marker"]`, "/steps/7/shows not_used"},
		"class":            {`"6F00": "unknown"`, `"6F00": "again"`, "/status_words/6F00 unknown_value"},
		"success word":     {`"6F00"`, `"9000"`, "/status_words/9000 not_used"},
		"timeout":          {`"10s"`, `"5m"`, "/timeouts/card"},
		"duration":         {`"10s"`, `"soon"`, "soon"},
		"retry unbounded":  {`"6400": "unknown"`, `"6985": "retry"`, "/retries missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := profile.Parse(replaced(t, c.old, c.new))
			require.ErrorIs(t, err, profile.ErrProfile)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestKeyCodeFaultsAreFound(t *testing.T) {
	t.Parallel()
	file, err := configs.KeyCode("ktpel")
	require.NoError(t, err)
	for name, c := range map[string]struct{ old, new, says string }{
		"one key version": {`"31"`, `"30"`, "/final/version same"},
		"one master":      {"sam-final-master", "sam-transport-master", "/final/master same"},
		"no secret key":   {`"sam-secret-wrap"`, `""`, "/secret_wrap missing"},
		"key version":     {`"31"`, `"80"`, "/final/version out_of_range"},
	} {
		require.True(t, bytes.Contains(file, []byte(c.old)), c.old)
		_, err := profile.ParseKeyCode([]byte(strings.Replace(string(file), c.old, c.new, 1)))
		require.ErrorIs(t, err, profile.ErrProfile, name)
		require.ErrorContains(t, err, c.says, name)
	}
}

// A profile of bare commands is refused where the state of a card could not be told.
func TestPlainProfileFaultsAreFound(t *testing.T) {
	t.Parallel()
	file := string(shipped(t, "iso7816-raw"))
	for name, c := range map[string]struct{ old, new, says string }{
		"marker not first":    {`"00D6000010{marker}", "shows": ["marker"]`, `"00D6000010{pcid}", "shows": ["pcid"]`, "/steps/0 wrong_order"},
		"no secret":           {`"00D6002020{secret}"`, `"00D600200100"`, "/steps missing"},
		"length of data":      {`"00D6001010{pcid}"`, `"00D6001011{pcid}"`, "/steps/2/apdu wrong_form"},
		"manifest of no size": {`{manifest:32}`, `{manifest}`, "wrong_form"},
		"another value":       {`"00D6001010{pcid}", "shows": ["pcid"]`, `"00D6001010{marker}", "shows": ["pcid"]`, "/steps/2/shows differs"},
		"nothing closes":      {`"shows": ["life_cycle"], "leaves": "01"`, `"again": true`, "/steps/6 wrong_order"},
		"closed unproven":     {`    { "do": "open_sam" },` + "\n", "", "missing"},
		"state unsaid":        {`, "leaves": "01"`, ``, "/steps/6/leaves differs"},
		"content after proof": {`"00D600600101"`, `"00D6006010{pcid}"`, "/steps/6/apdu wrong_order"},
		"not readable":        {`    "manifest": { "apdu": "00B0004020" },` + "\n", "", "/steps/3/shows missing"},
		"twice and seen":      {`"shows": ["pcid"]`, `"shows": ["pcid"], "again": true`, "/steps/2/again not_used"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, file, c.old)
			_, err := profile.Parse([]byte(strings.Replace(file, c.old, c.new, 1)))
			require.ErrorIs(t, err, profile.ErrProfile)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// What a card gets of its own goes where the braces are, to the byte.
func TestFillingACommand(t *testing.T) {
	t.Parallel()
	with := profile.Filling{Marker: bytes.Repeat([]byte{0xAA}, 16), PCID: bytes.Repeat([]byte{0xBB}, 16), Secret: []byte{1, 2}, Manifest: "M-1"}
	for apdu, want := range map[string]string{
		"00D6000010{marker}":                 "00d6000010" + strings.Repeat("aa", 16),
		"00D6000004{manifest:4}":             "00d60000044d2d3100",
		"00D6000006FF{secret}EE{manifest:2}": "",
		"00D6000004FF{secret}EE":             "00d6000004ff0102ee",
	} {
		got, err := profile.Act{Do: profile.Send, APDU: apdu}.Fill(with)
		if want == "" {
			require.Error(t, err, "a number that does not fit is never cut")
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(got))
	}
	require.True(t, profile.Act{}.Done(0x9000))
	require.False(t, profile.Act{Expect: []profile.Word{0x6310}}.Done(0x9000))
}
