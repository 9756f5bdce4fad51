// Package planted breaks the office on purpose, in copies of this tree, and
// demands that the crash run notices: a judge that never condemned anybody
// proves nothing. It runs with the build tag long.
package planted
