package profile_test

import (
	"bytes"
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
	for name, says := range map[string]string{"iso7816-raw": "channel none"} {
		p, err := profile.Parse(shipped(t, name))
		require.NoError(t, err, name)
		require.ErrorIs(t, p.Runnable(), profile.ErrNotBuilt)
		require.ErrorContains(t, p.Runnable(), says)
	}
	for old, c := range map[string]struct{ new, says string }{
		`"protocol": "scp03"`:             {`"protocol": "scp03", "option": "70"`, "option"},
		`"cplc"`:                          {`"uid_sam"`, "identification by uid_sam"},
		`"from": "chip", "object": "cin"`: {`"from": "barcode"`, "serial from barcode"},
		`"6400": "unknown"`:               {`"6985": "retry"`, "second try"},
	} {
		p, err := profile.Parse(replaced(t, old, c.new))
		require.NoError(t, err, old)
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
