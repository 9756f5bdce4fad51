package xlsx_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// list is a workbook of two text columns; shared as Excel itself writes it.
func list(b *testing.B, rows int, shared bool) []byte {
	return excel(b, "Daftar", func(f *excelize.File) {
		if shared {
			for i := 1; i <= rows; i++ {
				require.NoError(b, f.SetCellStr("Daftar", fmt.Sprintf("A%d", i), fmt.Sprintf("8935%012d", i)))
				require.NoError(b, f.SetCellStr("Daftar", fmt.Sprintf("B%d", i), fmt.Sprintf("GSX01-%08d", i)))
			}
			return
		}
		w, err := f.NewStreamWriter("Daftar")
		require.NoError(b, err)
		for i := 1; i <= rows; i++ {
			require.NoError(b, w.SetRow(fmt.Sprintf("A%d", i), []any{fmt.Sprintf("8935%012d", i), fmt.Sprintf("GSX01-%08d", i)}))
		}
		require.NoError(b, w.Flush())
	})
}

// BenchmarkRead compares the reader with excelize's streaming rows on the same files.
func BenchmarkRead(b *testing.B) {
	for _, rows := range []int{250, 100_000} {
		for name, shared := range map[string]bool{"inline": false, "shared": true} {
			file := list(b, rows, shared)
			b.Run(fmt.Sprintf("%d/%s/sifilma", rows, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					w, err := xlsx.Open(bytes.NewReader(file), int64(len(file)), xlsx.Limits{Rows: rows})
					require.NoError(b, err)
					count := 0
					for row, err := range w.Rows("Daftar") {
						if err != nil {
							b.Fatal(err)
						}
						count += len(row.Cells)
					}
					require.Equal(b, 2*rows, count)
				}
			})
			b.Run(fmt.Sprintf("%d/%s/excelize", rows, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					f, err := excelize.OpenReader(bytes.NewReader(file))
					require.NoError(b, err)
					stream, err := f.Rows("Daftar")
					require.NoError(b, err)
					count := 0
					for stream.Next() {
						columns, err := stream.Columns()
						if err != nil {
							b.Fatal(err)
						}
						count += len(columns)
					}
					require.NoError(b, stream.Close())
					require.NoError(b, f.Close())
					require.Equal(b, 2*rows, count)
				}
			})
		}
	}
}
