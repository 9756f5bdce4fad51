package numbers_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso/numbers"
)

var good = numbers.Templates{PCID: "3671{epoch:4}{counter:24}", Manifest: "M-{year}-{epoch:2}{counter:6}"}

func TestATemplateMakesLegalNumbers(t *testing.T) {
	t.Parallel()
	require.Empty(t, good.Check())
	pcid, err := good.FillPCID(2026, 10, 255)
	require.NoError(t, err)
	require.Equal(t, "3671000A0000000000000000000000FF", pcid)
	manifest, err := good.FillManifest(2026, 10, 255)
	require.NoError(t, err)
	require.Equal(t, "M-2026-10000255", manifest)
}

func TestAFullCounterGivesNoNumber(t *testing.T) {
	t.Parallel()
	_, err := good.FillManifest(2026, 1, 1_000_000)
	require.ErrorIs(t, err, numbers.ErrTemplate)
	_, err = good.FillManifest(2026, 100, 1)
	require.ErrorIs(t, err, numbers.ErrTemplate, "a full epoch would run into the counter")
}

func TestWhatIsWrongWithATemplateIsSaidAtItsPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		templates numbers.Templates
		pointer   string
	}{
		"no epoch":       {numbers.Templates{PCID: good.PCID, Manifest: "M-{counter:6}"}, "/manifest"},
		"no counter":     {numbers.Templates{PCID: "3671{epoch:28}", Manifest: good.Manifest}, "/pcid"},
		"31 digits":      {numbers.Templates{PCID: "367{epoch:4}{counter:24}", Manifest: good.Manifest}, "/pcid"},
		"not hex":        {numbers.Templates{PCID: "PCID{epoch:4}{counter:24}", Manifest: good.Manifest}, "/pcid"},
		"small letters":  {numbers.Templates{PCID: "36ab{epoch:4}{counter:24}", Manifest: good.Manifest}, "/pcid"},
		"placeholder":    {numbers.Templates{PCID: good.PCID, Manifest: "{epoch:2}{counter:6}{month}"}, "/manifest"},
		"space":          {numbers.Templates{PCID: good.PCID, Manifest: "M {epoch:2}{counter:6}"}, "/manifest"},
		"two counters":   {numbers.Templates{PCID: good.PCID, Manifest: "{epoch:2}{counter:6}{counter:6}"}, "/manifest"},
		"variable width": {numbers.Templates{PCID: good.PCID, Manifest: "{epoch}{counter}"}, "/manifest"},
	} {
		faults := c.templates.Check()
		require.Len(t, faults, 1, name)
		require.Equal(t, c.pointer, faults[0].Pointer, name)
	}
}
