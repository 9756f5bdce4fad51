// Package clock holds the two clocks of the house and the civil date.
//
// Office is the civil clock of the office: request dates, stages, plans and
// the numbers on letters follow it. It may be the real time, or a file that a
// driver steps, and then it stands still between two steps. Machine is the
// clock of the machine: leases, retries, sessions and key expiry follow it and
// it is never accelerated. Neither is ever replaced by SQL now().
//
// Instants are UTC; civil dates are dates in Asia/Jakarta (WIB), whatever the
// time zone of the machine. The time zone data is embedded.
package clock
