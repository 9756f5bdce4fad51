package readers

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/smartcard"
)

func TestWhichReadersAreUsed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule   Rule
		reader string
		ok     bool
		err    error
	}{
		"any":                       {Rule{}, "ACS ACR39U 00 00", true, nil},
		"virtual in tests":          {Rule{}, "Virtual PCD 1 00 00", true, nil},
		"virtual in production":     {Rule{RefuseVirtual: true}, "Virtual PCD 1 00 00", false, ErrVirtual},
		"real in production":        {Rule{RefuseVirtual: true}, "ACS ACR39U 00 00", true, nil},
		"listed":                    {Rule{Only: []string{"ACS *"}}, "ACS ACR39U 00 00", true, nil},
		"not listed":                {Rule{Only: []string{"ACS *"}}, "Gemalto PC Twin 00 00", false, nil},
		"not listed is no reason":   {Rule{Only: []string{"ACS *"}, RefuseVirtual: true}, "Virtual PCD 1 00 00", false, nil},
		"listed virtual is refused": {Rule{Only: []string{"Virtual*"}, RefuseVirtual: true}, "Virtual PCD 1 00 00", false, ErrVirtual},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ok, err := c.rule.accepts(c.reader)
			require.Equal(t, c.ok, ok)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.ok, c.rule.Use(c.reader) == nil)
		})
	}
	require.Error(t, Rule{Only: []string{"["}}.Validate())
	require.NoError(t, Rule{Only: []string{"ACS *"}}.Validate())
}

// A reader that is pulled out is missed until it is back, also when pcscd calls it by
// the name of another that is missed: it numbers those of one model as they come.
func TestReadersThatAreMissed(t *testing.T) {
	t.Parallel()
	var s Supervisor
	missed := func() []string { return slices.Sorted(maps.Keys(s.Away())) }
	for _, name := range []string{"ACS ACR39U 00 00", "ACS ACR39U 01 00", "Gemalto PC Twin 02 00"} {
		s.found(name, &smartcard.Reader{})
	}
	require.Empty(t, missed())
	s.lost("ACS ACR39U 01 00")
	s.lost("Gemalto PC Twin 02 00")
	require.Equal(t, []string{"ACS ACR39U 01 00", "Gemalto PC Twin 02 00"}, missed())
	s.found("Gemalto PC Twin 01 00", &smartcard.Reader{})
	require.Equal(t, []string{"ACS ACR39U 01 00"}, missed())
	s.found("Omnikey 03 00", &smartcard.Reader{}) // none that was there
	require.Equal(t, []string{"ACS ACR39U 01 00"}, missed())
	s.found("ACS ACR39U 01 00", &smartcard.Reader{})
	require.Empty(t, missed())
}
