package line

import (
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
)

// The database counts the authentications of a chip that are not known to have
// succeeded, for all stations. A station counts those of its own in its journal, too:
// a database that was restored has forgotten some, and the chip has not. Whichever has
// its fill stops.

// mostOpens is how often OPEN SAM is asked of a card that is to be proven, after the one
// time in its writing, without an answer that proves it: a card may count wrong ones
// (card-perso.md A4), and one that never answers is looked at again and again.
const mostOpens = 2

// countOpen follows the OPEN SAM of proofs, by attempt, along the journal.
func countOpen(opens map[string]int, e journal.Entry) {
	switch e.Kind {
	case entryOpen:
		opens[e.Attempt]++
	case entryProven:
		delete(opens, e.Attempt)
	}
}

// mayOpen says whether the card in hand may be asked once more.
func (t *task) mayOpen() bool {
	t.line.mu.Lock()
	defer t.line.mu.Unlock()
	return t.line.opens[t.hand.Attempt.ID] < mostOpens
}

// opening puts an OPEN SAM of a proof into the journal before it is sent, and forgets
// it when the proof has come further.
func (t *task) opening(a profile.Act) error {
	switch a.Do {
	case profile.OpenSAM:
		if err := t.note(entryOpen, nil); err != nil {
			return errors.Join(errAway, err)
		}
	case profile.Confirm:
		t.line.mu.Lock()
		defer t.line.mu.Unlock()
		delete(t.line.opens, t.hand.Attempt.ID)
	}
	return nil
}

// countTry follows the tries of chips along the journal. What is only noted in a
// session of the card is a success.
func countTry(tries map[string]int, e journal.Entry) {
	switch e.Kind {
	case entryTry:
		tries[e.Card]++
	case entryUntried:
		tries[e.Card] = max(0, tries[e.Card]-1)
	case entryIntent, entryStep, entryProven:
		delete(tries, e.Card)
	}
}

// mayTry is perso.ErrAuthenticationStopped when a chip has had its tries by the journal.
func (l *Line) mayTry(chip string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tries[chip] >= perso.MaxAuthentications {
		return fmt.Errorf("%w: by the journal", perso.ErrAuthenticationStopped)
	}
	return nil
}

// allPassed tells that by the journal each try of a chip is known to have succeeded.
func (l *Line) allPassed(chip string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tries[chip] == 0
}

// tried puts a try into the journal before it is made.
func (l *Line) tried(chip string) error { return l.noteTry(entryTry, chip) }

// untried takes a try back that the chip has not heard of. Without it one too many is
// counted, which is the safe side.
func (l *Line) untried(chip string) {
	if err := l.noteTry(entryUntried, chip); err != nil {
		l.Log.Error().Err(err).Msg("journal does not take back a try")
	}
}

func (l *Line) noteTry(kind, chip string) error {
	e := journal.Entry{Kind: kind, Card: chip}
	if err := l.Journal.Append(e); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tries == nil {
		l.tries = map[string]int{}
	}
	countTry(l.tries, e)
	return nil
}

// passed forgets the tries of a chip after a success; the entries that follow say so
// to whoever reads the journal.
func (l *Line) passed(chip string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.tries, chip)
}
