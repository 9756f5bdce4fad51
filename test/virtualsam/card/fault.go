package card

// Step names one kind of write, in the write log and in faults.
type Step string

// Steps of the write log. The first six can be given a fault.
const (
	StepMarker     Step = "marker"
	StepPCID       Step = "pcid"
	StepCONF       Step = "conf"
	StepManifest   Step = "manifest"
	StepPutKey     Step = "putkey"
	StepStatus     Step = "status"
	StepOpenSAM    Step = "open_sam"
	StepAuthFailed Step = "auth_failed"
)

// Fate is what happens to the answer of a command.
type Fate int

// Fates of an answer.
const (
	Answered Fate = iota // goes out
	Mute                 // never comes; the chip is dead until reset
	Vanish               // the card is torn out of the slot
	Empty                // comes without a single byte; the card stays
)

// Fault is what is wrong with a chip. The zero value is a good chip.
type Fault struct {
	// MemoryFailureAt answers 6581 at this step, every time, and writes nothing.
	MemoryFailureAt Step `json:"memory_failure_at,omitempty"`
	// MemoryFullAt answers 6A84 at this step, every time, and writes nothing.
	MemoryFullAt Step `json:"memory_full_at,omitempty"`
	// SecurityAt answers 6982 and ConditionsAt 6985, as a card does that has rules
	// of its own; every time, and they write nothing.
	SecurityAt   Step `json:"security_at,omitempty"`
	ConditionsAt Step `json:"conditions_at,omitempty"`
	// AnswerAt answers AnswerSW at this step, the next AnswerTimes times or, with 0,
	// every time, and writes nothing.
	AnswerAt    Step   `json:"answer_at,omitempty"`
	AnswerSW    uint16 `json:"answer_sw,omitempty"`
	AnswerTimes int    `json:"answer_times,omitempty"`
	// VanishAtAPDU, MuteAtAPDU and EmptyAtAPDU count commands from the moment the
	// fault is set, 1 is the next; they strike once.
	VanishAtAPDU int `json:"vanish_at_apdu,omitempty"`
	MuteAtAPDU   int `json:"mute_at_apdu,omitempty"`
	EmptyAtAPDU  int `json:"empty_at_apdu,omitempty"`
	// VanishAtStep, MuteAtStep and EmptyAtStep strike once, at the first write of
	// that step.
	VanishAtStep Step `json:"vanish_at_step,omitempty"`
	MuteAtStep   Step `json:"mute_at_step,omitempty"`
	EmptyAtStep  Step `json:"empty_at_step,omitempty"`
	// Executed makes vanish, mute, empty and hold strike after the command has done its
	// work: only the answer is lost, or late.
	Executed bool `json:"executed,omitempty"`
	// HoldAtAPDU counts commands from the moment the fault is set, 1 is the next, and
	// holds that one until Release: with Executed after its work is done and before its
	// answer goes out, else before it is executed. It strikes once. A held command whose
	// connection ends, because the card is taken out for instance, goes no further.
	HoldAtAPDU int `json:"hold_at_apdu,omitempty"`
	// LieAbout makes the chip tell something else than it holds, every time it is
	// asked: for marker, pcid and manifest the data object, for status the life
	// cycle, for putkey the key version.
	LieAbout Step `json:"lie_about,omitempty"`
	// WrongCryptogram spoils the card cryptogram of INITIALIZE UPDATE.
	WrongCryptogram bool `json:"wrong_cryptogram,omitempty"`
	// WrongKCV spoils the check values PUT KEY answers with; the keys are good.
	WrongKCV bool `json:"wrong_kcv,omitempty"`
	// SlowMS delays every answer.
	SlowMS int `json:"slow_ms,omitempty"`
}

// SetFault replaces the chip's fault; counting of commands starts again.
func (c *Chip) SetFault(f Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = f
}

// strike counts one command down; true if it is the one.
func strike(left *int) bool {
	if *left == 0 {
		return false
	}
	*left--
	return *left == 0
}

// count counts one command; before tells that it must not be executed.
func (f *Fault) count() (fate Fate, before bool) {
	if strike(&f.MuteAtAPDU) {
		fate = Mute
	}
	if strike(&f.EmptyAtAPDU) {
		fate = Empty
	}
	if strike(&f.VanishAtAPDU) {
		fate = Vanish
	}
	return fate, fate != Answered && !f.Executed
}

func (f *Fault) atStep(s Step) (fate Fate, before bool) {
	switch s {
	case f.VanishAtStep:
		f.VanishAtStep = ""
		fate = Vanish
	case f.MuteAtStep:
		f.MuteAtStep = ""
		fate = Mute
	case f.EmptyAtStep:
		f.EmptyAtStep = ""
		fate = Empty
	}
	return fate, fate != Answered && !f.Executed
}

func (f *Fault) refuse(s Step) uint16 {
	switch s {
	case f.AnswerAt:
		if f.AnswerTimes > 0 {
			if f.AnswerTimes--; f.AnswerTimes == 0 {
				f.AnswerAt = ""
			}
		}
		return f.AnswerSW
	case f.MemoryFailureAt:
		return swMemoryFailure
	case f.MemoryFullAt:
		return swMemoryFull
	case f.SecurityAt:
		return swSecurity
	case f.ConditionsAt:
		return swConditions
	}
	return swOK
}

// told is what the chip says when it is asked for a value.
func (f *Fault) told(s Step, value []byte) []byte {
	if f.LieAbout != s || len(value) == 0 {
		return value
	}
	lie := append([]byte(nil), value...)
	lie[len(lie)-1] ^= 0x01
	return lie
}
