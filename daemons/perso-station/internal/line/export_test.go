package line

import "context"

// Try is one authentication of a chip after the other, without a card: before
// each the counter, and after it whether it succeeded.
func (l *Line) Try(chip string) func(ctx context.Context, succeeds bool) error {
	g := &guard{line: l, chip: chip}
	return func(ctx context.Context, succeeds bool) error {
		if err := g.before(ctx); err != nil || !succeeds {
			return err
		}
		return g.after(ctx)
	}
}

// TakeScan hands out the scan that waits at a reader, as an inserted card takes it.
func (l *Line) TakeScan(reader string) (serial string, twice bool) { return l.takeScan(reader) }

// MostOpens is how often OPEN SAM goes to a card that is to be proven and does not answer.
const MostOpens = mostOpens
