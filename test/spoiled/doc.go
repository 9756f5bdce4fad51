// Package spoiled makes files as people and their programs send them, good,
// odd and broken, each with what the office is expected to make of it. Several
// tests read them: the checks of the intake, and the readers beneath.
package spoiled
