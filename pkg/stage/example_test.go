package stage_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/stage"
)

// TestTheExampleOfTheFAQ: 250 cards behind a queue of 500 are made on the third hari
// kerja; with the best of all other stages that is 8 + 2 = 10 hari kerja in all
// (features.md K05, K06).
func TestTheExampleOfTheFAQ(t *testing.T) {
	t.Parallel()
	calendar, rules := shipped(t)
	first := day("2026-11-23")
	spans := capacity.Plan([]capacity.Demand{
		{RequestID: "queued", Disposition: first, Ticket: "1", Cards: 500},
		{RequestID: "asked", Disposition: first, Ticket: "2", Cards: 250},
	}, capacity.Days{Calendar: calendar, First: first})
	last := spans[len(spans)-1]
	require.Equal(t, capacity.Span{RequestID: "asked", Day: calendar.Add(first, 2), From: 1, To: 251}, last)

	require.Equal(t, stage.Limit{Min: 8, Max: 18}, rules.Of(stage.Total))
	waits := calendar.Between(first, last.Day)
	require.Equal(t, 10, rules.Of(stage.Total).Min+waits)
}
