// Package postgres is the way to PostgreSQL: the only truth of the house.
//
// It adds to database/sql what experience with lib/pq demands (reliability.md E7):
//
//   - Writes happen only inside InTx. Everything else runs read-only by the
//     session default, so the server itself refuses a write outside InTx (lib/pq
//     may run a lone statement twice when its connection dies).
//   - A COMMIT without an answer is neither success nor failure. InTx takes the
//     transaction id before COMMIT and asks a new connection what became of it.
//   - Serialization failures and deadlocks run the function again.
//   - Every statement is prepared once per connection and kept there: an unprepared
//     statement with arguments costs two round trips.
//   - A connection to a server that no longer takes writes (a demoted primary) is
//     dropped, so that the next dial finds the new primary of the host list.
//
// Each call takes one statement; several statements in one string are refused
// by the server. Arrays go in through pq.Array.
package postgres
