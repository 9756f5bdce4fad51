package docx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// FaultCode is a stable name for what is wrong with a template, for the
// Indonesian text that staff read.
type FaultCode string

// The faults of a template.
const (
	NotWord        FaultCode = "not_word"         // no .docx at all
	TooLarge       FaultCode = "too_large"        // beyond a limit, also once unpacked
	Damaged        FaultCode = "damaged"          // broken archive or XML
	Macro          FaultCode = "macro"            // carries macros
	ExternalLink   FaultCode = "external_link"    // refers to something outside the file
	TrackedChanges FaultCode = "tracked_changes"  // insertions or deletions not yet accepted
	BadTag         FaultCode = "bad_tag"          // not of the form {{lower_case_name}}
	UnclosedTag    FaultCode = "unclosed_tag"     // "{{" or "}}" alone in a paragraph
	TagOutsideText FaultCode = "tag_outside_text" // a tag inside a field code or the like
	LoopOutsideRow FaultCode = "loop_outside_row" // {{#...}} not in a table row
	UnbalancedLoop FaultCode = "unbalanced_loop"  // {{#...}} without {{/...}}, or the reverse
	NestedLoop     FaultCode = "nested_loop"      // a loop within a loop
	BadPicture     FaultCode = "bad_picture"      // {{@...}} in a repeated row, or in a file that cannot show it

	// What only Examine tells: it judges a template that somebody sends in.
	Encrypted     FaultCode = "encrypted"       // wants a password; Detail is empty
	WrongKind     FaultCode = "wrong_kind"      // another file than .docx; Detail is its kind, such as "docm"
	Comment       FaultCode = "comment"         // a remark in the margin; Detail is its text
	Embedded      FaultCode = "embedded_object" // an object of another program; Detail is the entry or element
	VectorPicture FaultCode = "vector_picture"  // an SVG, which can hold scripts and addresses; Detail is the entry
	LinkedField   FaultCode = "linked_field"    // a field that fetches something, such as INCLUDETEXT; Detail is its name
	BoundControl  FaultCode = "bound_control"   // a tag in a content control that Word fills by itself
	RowTagOutside FaultCode = "row_tag_outside" // a tag of a repeated row outside one; Detail is the table
	UnknownTag    FaultCode = "unknown_tag"     // no value goes by that name; Near is the one that may be meant
	MissingTag    FaultCode = "missing_tag"     // an obligatory tag that stands nowhere
)

// Fault is one thing wrong with a template.
type Fault struct {
	Code FaultCode
	// Part is the entry of the archive, such as "word/header1.xml"; empty for the whole file.
	Part string
	// Detail names the tag or the limit.
	Detail string
	// In is what the part is of the paper: "body", "header", "footer" or "note"; empty
	// for another part. Table says that the place is in a table, and Text is what its
	// paragraph reads, shortened.
	In    string
	Table bool
	Text  string
	// Tag is the name of the tag as Tags writes it, and Near a known one like it.
	Tag, Near string
}

// Error lists everything wrong with a template, or with the values given for it.
type Error struct {
	Faults []Fault
	// Unknown are tags of the template for which there is no value. A tag in a
	// repeated row is written "cards.serial", the loop itself "#cards".
	Unknown []string
	// Missing are obligatory tags that the template lacks (Check).
	Missing []string
}

// Error names every fault and every tag.
func (e *Error) Error() string {
	var parts []string
	for _, f := range e.Faults {
		text := string(f.Code)
		if f.Part != "" {
			text += " in " + f.Part
		}
		if f.Detail != "" {
			text += ": " + f.Detail
		}
		parts = append(parts, text)
	}
	if len(e.Unknown) > 0 {
		parts = append(parts, "unknown tags "+strings.Join(e.Unknown, ", "))
	}
	if len(e.Missing) > 0 {
		parts = append(parts, "missing tags "+strings.Join(e.Missing, ", "))
	}
	return "docx: template: " + strings.Join(parts, "; ")
}

// Has reports whether one of the faults has the code.
func (e *Error) Has(code FaultCode) bool {
	for _, f := range e.Faults {
		if f.Code == code {
			return true
		}
	}
	return false
}

func (e *Error) orNil() error {
	if len(e.Faults) == 0 && len(e.Unknown) == 0 && len(e.Missing) == 0 {
		return nil
	}
	return e
}

// mostFaults bounds the list: nobody mends a template from a longer one.
const mostFaults = 50

func (e *Error) add(code FaultCode, part, format string, args ...any) {
	e.put(Fault{Code: code, Part: part, Detail: fmt.Sprintf(format, args...)})
}

// at adds a fault of an element of a part.
func (e *Error) at(code FaultCode, p *part, el *etree.Element, format string, args ...any) {
	f := p.place(el)
	f.Code, f.Detail = code, fmt.Sprintf(format, args...)
	e.put(f)
}

// put adds a fault that is not told yet.
func (e *Error) put(f Fault) {
	if len(e.Faults) < mostFaults && !slices.Contains(e.Faults, f) {
		e.Faults = append(e.Faults, f)
	}
}

func fault(code FaultCode, part, detail string) error {
	return &Error{Faults: []Fault{{Code: code, Part: part, Detail: detail}}}
}
