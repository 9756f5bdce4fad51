// Package house checks the rules that hold the house together: which way imports
// run, how large a file may grow, that each package says what it is. The rules
// are those of the design; the linter states the import rules a second time so
// that an editor shows them at once.
package house
