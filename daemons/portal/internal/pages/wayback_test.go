package pages

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// An error page leads back to what it is about, and only where that is clear.
func TestTheWayBack(t *testing.T) {
	t.Parallel()
	const id = "01a20865-15e3-760e-948f-50863e9f605c"
	for path, want := range map[string]string{
		"/permohonan/PSAM-2026-000001-5/naskah/" + id + "/tte":          "/permohonan/PSAM-2026-000001-5/naskah/" + id,
		"/permohonan/PSAM-2026-000001-5/serah-terima/" + id + "/pindai": "/permohonan/PSAM-2026-000001-5/serah-terima/" + id,
		"/permohonan/PSAM-2026-000001-5/serah-terima/" + id:             "/permohonan/PSAM-2026-000001-5",
		"/permohonan/PSAM-2026-000001-5/serah-terima/baru":              "/permohonan/PSAM-2026-000001-5",
		"/aktivasi/AKTV-2026-000001-5/baris/2/ganti":                    "/aktivasi/AKTV-2026-000001-5",
		"/permohonan/PSAM-2026-000001-5":                                "",
		"/permohonan//evil.example/naskah":                              "",
		"/penomoran/bast":                                               "",
		"/x/permohonan/PSAM-2026-000001-5/tutup":                        "",
	} {
		back := wayBack(path)
		if want == "" {
			require.Nil(t, back, path)
			continue
		}
		require.NotNil(t, back, path)
		require.Equal(t, want, back.Path)
	}
}
