// Package outage takes services away from the whole office, two processes of
// each daemon, and gives them back: alone, together, in any order, emptied, and
// as another server. It needs services of its own to do so.
package outage
