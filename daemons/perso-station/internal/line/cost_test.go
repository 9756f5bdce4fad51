package line_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhatACardCosts: each commit waits for the disk of the database's server, and each
// line of the journal for that of the station. A good card has so many, no more, and no
// fewer: between two of them the station may die.
func TestWhatACardCosts(t *testing.T) {
	t.Parallel()
	b := newBench(t, 4)
	require.Equal(t, "clear", b.outcome(b.chip(b.Serials[0])).Outcome) // the first of a lot ties the order to its editions
	b.removeCard()
	for _, serial := range b.Serials[1:3] {
		commits, lines := b.pool.Commits(), b.book.Head().Seq
		require.Equal(t, "clear", b.outcome(b.chip(serial)).Outcome)
		b.removeCard()
		require.EqualValues(t, cardCommits, b.pool.Commits()-commits)
		require.EqualValues(t, cardLines, b.book.Head().Seq-lines)
	}
}

const (
	// The claim, with the numbers and the count of the first authentication; the
	// intent; the count of the authentication with the new keys; the result.
	cardCommits = 4
	// The try of each of two authentications, which a database that is restored forgets;
	// the intent, each step that the card has taken, and the proof.
	cardLines = 14
)
