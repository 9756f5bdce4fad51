package postgres

// Bell is a doorbell inside the process: whoever commits work rings it, whoever
// does the work waits for it. Rings before the bell is heard melt into one. A
// bell has one listener; it is a hint only, the listener also polls.
type Bell struct{ c chan struct{} }

// Ring rings the bell. It never blocks.
func (b *Bell) Ring() {
	select {
	case b.c <- struct{}{}:
	default:
	}
}

// C receives once after one or more rings.
func (b *Bell) C() <-chan struct{} { return b.c }

// Bell returns the bell of that name; the same name gives the same bell.
func (db *DB) Bell(name string) *Bell {
	b, _ := db.bells.LoadOrStore(name, &Bell{c: make(chan struct{}, 1)})
	return b.(*Bell)
}
