// Package machine describes state machines as tables and records the steps
// that are taken in them.
//
// One table drives everything that must agree: the code that takes a step, the
// trigger in SQL that refuses any other (schema/migrations/0001_ground.sql),
// the verbs that a person is offered, the rows of the timeline, and the
// diagrams in the README.
package machine

import (
	"fmt"
	"slices"
	"strings"
)

// State is a stage of a row's life. The empty State is the time before birth.
type State string

// Verb is what somebody does to take a step.
type Verb string

// Role is who may do it: the role of an account, or the name of a daemon.
type Role string

// Step is one row of a table: in state From, Role may do Verb, which leads to
// To.
type Step struct {
	From  State
	Verb  Verb
	Roles []Role
	// Guard says in words what must hold besides the state; the office package
	// that owns the machine checks it.
	Guard string
	To    State
	// Message is the type of the message that announces the step, or empty.
	Message string
	// System marks a step that a daemon takes by itself: no person is offered
	// its verb.
	System bool
	// Routine marks a step that is taken so often that it is logged at level
	// debug.
	Routine bool
}

// Table is a state machine.
type Table struct {
	Name  string
	Steps []Step
	// Labels are the Indonesian names of the states, for people.
	Labels map[State]string
	// Verbs are the Indonesian names of the verbs, for people.
	Verbs map[Verb]string
}

// IllegalError says that a verb is not possible in a state.
type IllegalError struct {
	Machine string
	From    State
	Verb    Verb
}

func (e *IllegalError) Error() string {
	return fmt.Sprintf("%s: %q is not possible in state %q", e.Machine, e.Verb, e.From)
}

// RoleError says that a role may not do a verb.
type RoleError struct {
	Machine string
	Verb    Verb
	Role    Role
}

func (e *RoleError) Error() string {
	return fmt.Sprintf("%s: role %q may not %q", e.Machine, e.Role, e.Verb)
}

// Find returns the step that verb takes from a state, whoever does it. Its
// error is an *IllegalError.
func (t *Table) Find(from State, verb Verb) (Step, error) {
	for _, s := range t.Steps {
		if s.From == from && s.Verb == verb {
			return s, nil
		}
	}
	return Step{}, &IllegalError{Machine: t.Name, From: from, Verb: verb}
}

// FindTo returns the step that verb takes between two states, for verbs that
// lead to several states, such as a release from a hold.
func (t *Table) FindTo(from State, verb Verb, to State) (Step, error) {
	for _, s := range t.Steps {
		if s.From == from && s.Verb == verb && s.To == to {
			return s, nil
		}
	}
	return Step{}, &IllegalError{Machine: t.Name, From: from, Verb: verb}
}

// Step returns the step that role takes from a state by verb. Its error is an
// *IllegalError or a *RoleError.
func (t *Table) Step(from State, verb Verb, role Role) (Step, error) {
	s, err := t.Find(from, verb)
	if err != nil {
		return Step{}, err
	}
	if !slices.Contains(s.Roles, role) {
		return Step{}, &RoleError{Machine: t.Name, Verb: verb, Role: role}
	}
	return s, nil
}

// May says whether role may do verb in state from: nil, or an error as of Step.
func (t *Table) May(from State, verb Verb, role Role) error {
	_, err := t.Step(from, verb, role)
	return err
}

// MayEver says whether role may do verb in any state at all: nil or a *RoleError.
func (t *Table) MayEver(verb Verb, role Role) error {
	for _, s := range t.Steps {
		if s.Verb == verb && slices.Contains(s.Roles, role) {
			return nil
		}
	}
	return &RoleError{Machine: t.Name, Verb: verb, Role: role}
}

// Offers returns the verbs that role can do in a state: the buttons of a page.
func (t *Table) Offers(from State, role Role) []Verb {
	var verbs []Verb
	for _, s := range t.Steps {
		if s.From == from && !s.System && slices.Contains(s.Roles, role) && !slices.Contains(verbs, s.Verb) {
			verbs = append(verbs, s.Verb)
		}
	}
	return verbs
}

// Actors returns the roles that can move a row on from a state: who is waited
// for.
func (t *Table) Actors(from State) []Role {
	var roles []Role
	for _, s := range t.Steps {
		if s.From != from {
			continue
		}
		for _, r := range s.Roles {
			if !slices.Contains(roles, r) {
				roles = append(roles, r)
			}
		}
	}
	return roles
}

// States returns each state once, in the order of the table.
func (t *Table) States() []State {
	var states []State
	add := func(s State) {
		if s != "" && !slices.Contains(states, s) {
			states = append(states, s)
		}
	}
	for _, s := range t.Steps {
		add(s.From)
		add(s.To)
	}
	return states
}

// Final says whether no step leads on from a state.
func (t *Table) Final(s State) bool {
	return !slices.ContainsFunc(t.Steps, func(step Step) bool { return step.From == s })
}

// Label is the Indonesian name of a state.
func (t *Table) Label(s State) string {
	if l, ok := t.Labels[s]; ok {
		return l
	}
	return string(s)
}

// VerbLabel is the Indonesian name of a verb.
func (t *Table) VerbLabel(v Verb) string {
	if l, ok := t.Verbs[v]; ok {
		return l
	}
	return string(v)
}

// Mermaid draws the table as a Mermaid state diagram.
func (t *Table) Mermaid() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n")
	end := func(s State) string {
		if s == "" {
			return "[*]"
		}
		return string(s)
	}
	for _, s := range t.Steps {
		fmt.Fprintf(&b, "    %s --> %s: %s\n", end(s.From), end(s.To), s.Verb)
	}
	for _, s := range t.States() {
		if t.Final(s) {
			fmt.Fprintf(&b, "    %s --> [*]\n", s)
		}
	}
	return b.String()
}
