package docx

import (
	"fmt"
	"strings"
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
)

// Fault is one thing wrong with a template.
type Fault struct {
	Code FaultCode
	// Part is the entry of the archive, such as "word/header1.xml"; empty for the whole file.
	Part string
	// Detail names the tag or the limit.
	Detail string
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
	if len(e.Faults) >= mostFaults {
		return
	}
	e.Faults = append(e.Faults, Fault{Code: code, Part: part, Detail: fmt.Sprintf(format, args...)})
}

func fault(code FaultCode, part, detail string) error {
	return &Error{Faults: []Fault{{Code: code, Part: part, Detail: detail}}}
}
