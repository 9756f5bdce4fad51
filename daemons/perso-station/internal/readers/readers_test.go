package readers

import (
	"testing"

	"github.com/stretchr/testify/require"
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
