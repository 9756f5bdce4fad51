package pages

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/report"
)

// Two replies wait for the same people: they are named once, and how many replies.
func TestATaskThatWaitsTwiceNamesPeopleOnce(t *testing.T) {
	t.Parallel()
	const scan, hand = "mengunggah pindaian", "menyerahkan"
	groups := groupWaits([]report.Wait{
		{Label: "Operator KI", Task: hand}, {Label: "Persuratan", Task: scan}, {Label: "Operator KI", Task: scan}, {Label: "Persuratan", Task: scan}, {Label: "Operator KI", Task: scan},
	})
	require.Len(t, groups, 2)
	require.Equal(t, []string{"Operator KI", hand}, []string{groups[0].Label, groups[0].Tasks[0].Task})
	require.Equal(t, []string{"Persuratan atau Operator KI", scan + " (2)"}, []string{groups[1].Label, groups[1].Tasks[0].Task})
}
