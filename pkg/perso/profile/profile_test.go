package profile_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
)

func TestShippedProfileIsGood(t *testing.T) {
	t.Parallel()
	file, err := configs.Profile("gp-scp03-sam")
	require.NoError(t, err)
	p, err := profile.Parse(file)
	require.NoError(t, err)
	require.Equal(t, "gp-scp03-sam/1", p.Label())
	require.Len(t, p.SHA256, 32)
	require.Equal(t, profile.Unknown, p.ClassOf(0x6F00))
	require.Equal(t, profile.Refuses, p.ClassOf(0x6581))
	require.EqualValues(t, 0x30, p.Keys.Transport.Version)
	require.EqualValues(t, 0xDF03, p.Data.Secret)
}

func TestProfileFaultsAreFound(t *testing.T) {
	t.Parallel()
	file, err := configs.Profile("gp-scp03-sam")
	require.NoError(t, err)
	for name, c := range map[string]struct{ old, new, says string }{
		"unknown key":      {`"version": 1,`, `"version": 1, "colour": "red",`, "colour"},
		"two documents":    {"\n}\n", "\n}\n{}", "more than one"},
		"level":            {`"33"`, `"03"`, "security_level"},
		"one key version":  {`"31"`, `"30"`, "one version"},
		"one master":       {"sam-final-master", "sam-transport-master", "one master"},
		"key size":         {`"bytes": 16`, `"bytes": 8`, "keys.bytes"},
		"tag twice":        {`"DF02"`, `"DF01"`, "four different tags"},
		"tag form":         {`"DF02"`, `"DF2"`, "hexadecimal"},
		"marker not first": {`"do": "marker"`, `"do": "numbers"`, "steps are not"},
		"class":            {`"6F00": "unknown"`, `"6F00": "retry"`, "6F00"},
		"success word":     {`"6F00"`, `"9000"`, "9000"},
		"timeout":          {`"10s"`, `"5m"`, "timeouts.card"},
		"duration":         {`"10s"`, `"soon"`, "soon"},
		"no secret key":    {`"sam-secret-wrap"`, `""`, "secret_wrap"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, true, bytes.Contains(file, []byte(c.old)))
			_, err := profile.Parse([]byte(strings.Replace(string(file), c.old, c.new, 1)))
			require.ErrorIs(t, err, profile.ErrProfile)
			require.ErrorContains(t, err, c.says)
		})
	}
}
