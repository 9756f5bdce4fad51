package load

import "slices"

// Facts are what people had been answered by a moment.
type Facts struct {
	Tickets map[string]string // by reference of the request
	Answers []Answer
}

// Facts are those of now.
func (w *World) Facts() Facts {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := Facts{Tickets: map[string]string{}, Answers: slices.Clone(w.answers)}
	for _, d := range w.drops {
		if len(d.Tickets) > 0 {
			f.Tickets[d.Reference] = d.Tickets[0]
		}
	}
	return f
}

// Restored has people go on with an office that was restored to the moment of f:
// what they decided later is to be decided again, and a produsen whose ticket is
// not among the known ones sends the request again, with its key. It is called
// while nobody works.
func (w *World) Restored(f Facts, known map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers, w.open, w.settled, w.wanted = slices.Clone(f.Answers), nil, 0, map[string]bool{}
	w.round += " lagi"
	for _, d := range w.drops {
		_, told := f.Tickets[d.Reference]
		if !told && (len(d.Tickets) == 0 || !known[d.Tickets[0]]) {
			d.Before, d.Tickets = append(d.Before, d.Tickets...), nil
			w.lost = append(w.lost, d)
			continue
		}
		w.open = append(w.open, w.newJob(d))
	}
}

func (w *World) takeLost() *Drop {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lost) == 0 {
		return nil
	}
	d := w.lost[0]
	w.lost = w.lost[1:]
	return d
}

// newJob is what a produsen's request is for the staff, once it has a ticket.
func (w *World) newJob(d *Drop) *job {
	return &job{ticket: d.Tickets[0], faulty: d.Faulty, rng: w.dice(d.Reference)}
}
