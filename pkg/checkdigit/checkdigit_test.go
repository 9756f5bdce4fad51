package checkdigit_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/checkdigit"
)

func TestATypingErrorIsSeen(t *testing.T) {
	t.Parallel()
	number := checkdigit.Number("PLP", 2026, 123)
	got, ok := checkdigit.Parse("PLP", " "+strings.ToLower(number)+" ")
	require.True(t, ok)
	require.Equal(t, number, got)
	_, ok = checkdigit.Parse("PSAM", number)
	require.False(t, ok, "a number of another kind")
	for i := range len(number) {
		if number[i] < '0' || number[i] > '9' {
			continue
		}
		for d := byte('0'); d <= '9'; d++ {
			wrong := number[:i] + string(d) + number[i+1:]
			_, ok := checkdigit.Parse("PLP", wrong)
			require.Equal(t, wrong == number, ok, wrong)
		}
	}
}
