package main

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/daemons/portal/internal/planning"
)

// atOnce counts the answers of n requests that are sent together.
func atOnce(n int, send func(i int) int) map[int]int {
	codes := make([]int, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { codes[i] = send(i) })
	}
	wg.Wait()
	count := map[int]int{}
	for _, code := range codes {
		count[code]++
	}
	return count
}

// Of those who saw the same, one decides; the others learn that it changed.
func TestOnlyOneOfManyDecides(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.decreed()
	const people = 6
	books := make([]*form, people)
	var version int64
	for i := range books {
		var book []byte
		book, version = o.sheetOf("kasubdit", "2027", func(f *excelize.File) {
			typeRow(t, f, "Libur", "A5", "2027-12-24", "", "Cuti bersama", "Natal", "SKB", "")
			if i%2 == 0 {
				require.NoError(t, f.SetCellValue("Libur", "F2", "sudah"))
			}
		})
		books[i] = sheetForm(t, book, "reason", "SKB")
	}
	before := o.written()
	require.Equal(t, map[int]int{200: 1, 412: people - 1}, atOnce(people, func(i int) int {
		return o.ask("kasubdit", http.MethodPost, v1+"/calendar/2027/import?dry_run=false", books[i], ifMatch(version)...).Code
	}))
	require.Contains(t, []int{1, 2}, o.written()[0]-before[0])

	v := o.accept(o.drop(30))
	var plan planning.Plan
	o.want(200, &plan, "kasubdit", http.MethodGet, "/api/v1/requests/"+v.Ticket+"/plan", nil)
	days := []string{"2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27", "2026-11-30", "2026-12-01"}
	require.Equal(t, map[int]int{200: 1, 412: people - 1}, atOnce(people, func(i int) int {
		return o.ask("kasubdit", http.MethodPost, "/api/v1/requests/"+v.Ticket+"/placements", map[string]any{"day": days[i], "pin": true, "reason": "x"}, ifMatch(plan.Version)...).Code
	}))
	require.Equal(t, 1, o.count("placement"))
}
