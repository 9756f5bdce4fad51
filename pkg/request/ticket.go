package request

import "dukcapil.go.id/sifilma/pkg/checkdigit"

const ticketKind = "PSAM"

// NewTicket forms the Kode Tiket of a year's request, such as
// PSAM-2026-000123-8: the key that people use everywhere (features.md N22). The
// last digit is a check digit.
func NewTicket(year int, number int64) string { return checkdigit.Number(ticketKind, year, number) }

// ParseTicket returns the ticket as it is written by us: upper case, without
// spaces around it; ok is false if it cannot be one of ours, for a typing error
// for instance.
func ParseTicket(s string) (ticket string, ok bool) { return checkdigit.Parse(ticketKind, s) }
