package oldregister

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
)

// TestAdviceIsAStepThatThereIs: what is told can be done in that state.
func TestAdviceIsAStepThatThereIs(t *testing.T) {
	t.Parallel()
	for state, says := range map[machine.State]string{
		request.Submitted:  "dapat dibatalkan oleh Produsen atau Dinas Dukcapil kab/kota; sesudah itu ulangi impor",
		request.Validated:  "dapat dikembalikan oleh Persuratan Dirjen atau Operator KI atau Kasubdit KI, atau dibatalkan oleh Produsen",
		request.Registered: "dapat dikembalikan oleh Operator KI atau Kasubdit KI, atau ditolak oleh Direktur Jenderal, atau dibatalkan oleh",
		request.Approved:   "dapat dikembalikan oleh Kasubdit KI, atau ditolak oleh Direktur FPDDK; sesudah itu",
		request.Accepted:   "tidak dapat lagi dikembalikan atau dibatalkan. Bila nomornya memang sudah diterbitkan, yang memutuskan adalah Kasubdit KI: ia dapat menahan",
		request.Scheduled:  "yang memutuskan adalah Kasubdit KI: ia dapat menahan permohonan itu",
		request.InProgress: "yang memutuskan adalah Kasubdit KI: ia dapat menahan permohonan itu",
		request.Held:       "sedang ditahan",
		request.Done:       "sudah berakhir",
	} {
		require.Contains(t, liveAdvice(state), says, state)
	}
	for _, state := range request.Machine.States() {
		for say, verb := range map[string]machine.Verb{"dapat dikembalikan": request.Return, "dapat dibatalkan": request.Cancel, "dapat menahan": request.Hold} {
			if strings.Contains(liveAdvice(state), say) {
				require.NotEmpty(t, actors(state, verb), "%s: %s", state, verb)
			}
		}
	}
}
