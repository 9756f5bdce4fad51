package oldregister_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/oldregister"
	"dukcapil.go.id/sifilma/test/harness"
)

// TestSerialsThatDifferInSeparatorsAreToldOf: of the file and of the register; both
// stand, so that both are known.
func TestSerialsThatDifferInSeparatorsAreToldOf(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	out, err := run(t, db, oldregister.Order{}, list(t, "a.xlsx", workbook(t, map[string]grid{
		"2018": {{"No. Seri Kartu SAM", "No. Seri Reader"}, {"SAM 2018 0001", "GSX-1"}, {"SAM-2018-0001", ""}, {"SAM-2018-0002", "G/SX 1"}}}, nil)))
	require.NoError(t, err, out)
	require.Contains(t, out, `[alike] Lembar "2018", A3: No. Seri Kartu SAM SAM-2018-0001 hanya berbeda tanda pemisahnya dari SAM 2018 0001 di lembar "2018" sel A2.`)
	require.Contains(t, out, `[alike] Lembar "2018", B4: No. Seri Reader G/SX 1 hanya berbeda tanda pemisahnya dari GSX-1 di lembar "2018" sel B2.`)
	require.Contains(t, out, "Peringatan (2):")
	require.Contains(t, out, "3 baris diimpor.")

	out, err = run(t, db, oldregister.Order{}, list(t, "b.csv", []byte("No. Seri Kartu SAM\nSAM20180002\nSAM-2018-0001\nSAM-2018-0003\n")))
	require.NoError(t, err, out)
	require.Contains(t, out, `[alike] A2: No. Seri Kartu SAM SAM20180002 hanya berbeda tanda pemisahnya dari SAM-2018-0002 dalam register (berkas a.xlsx, lembar "2018" baris 4).`)
	require.Contains(t, out, "Peringatan (1):", "what is known was told before")
	require.Contains(t, out, "2 baris diimpor.")

	out, err = run(t, db, oldregister.Order{Dry: true}, list(t, "c.csv", []byte("SN SAM\nA-1\nA-2\nA-3\nA-4\nA-5\nA-6\nA 1\nA 2\nA 3\nA 4\nA 5\nA 6\n")))
	require.NoError(t, err, out)
	require.Contains(t, out, "[alike] 6 sel, A8:A13: No. Seri Kartu SAM hanya berbeda tanda pemisahnya dari nomor lain dalam berkas ini.")
}
