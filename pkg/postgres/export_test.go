package postgres

import "time"

// SetPatience shortens how long the pool waits for a frozen server and for the
// outcome of a lost commit.
func (db *DB) SetPatience(grace, resolve time.Duration) {
	db.connector.grace, db.resolveTimeout = grace, resolve
}
