// Package writelog keeps what virtual chips say was written to them: JSON
// lines, each on disk before the chip answers. It is the judge in tests,
// because neither the station nor its database has a hand in it.
package writelog

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// Line is one entry with the instant (UTC) it was recorded.
type Line struct {
	Time time.Time `json:"time"`
	card.Entry
}

// Accepted tells whether the chip took the write.
func (l Line) Accepted() bool { return l.SW == "9000" }

// Log appends to one file. It satisfies card.Recorder.
type Log struct {
	mu    sync.Mutex
	file  *os.File
	lines []Line
}

// Open appends to the file at path, or keeps lines in memory only when path is
// empty.
func Open(path string) (*Log, error) {
	if path == "" {
		return &Log{}, nil
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write log: %w", err)
	}
	return &Log{file: file}, nil
}

// Record puts one entry on disk (append and fsync).
func (l *Log) Record(e card.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := Line{Time: time.Now().UTC(), Entry: e}
	if l.file != nil {
		raw, err := json.Marshal(line)
		if err != nil {
			return fmt.Errorf("write log: %w", err)
		}
		if _, err := l.file.Write(append(raw, '\n')); err != nil {
			return fmt.Errorf("write log: %w", err)
		}
		if err := l.file.Sync(); err != nil {
			return fmt.Errorf("write log: %w", err)
		}
	}
	l.lines = append(l.lines, line)
	return nil
}

// Since answers the lines of this run from number n on (0 is the first).
func (l *Log) Since(n int) []Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < 0 || n >= len(l.lines) {
		return nil
	}
	return append([]Line(nil), l.lines[n:]...)
}

// Close closes the file; entries after it are refused.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	return nil
}

// Read reads a write log file.
func Read(path string) ([]Line, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("write log: %w", err)
	}
	defer func() { _ = file.Close() }()
	var out []Line
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		var line Line
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("write log: line %d: %w", len(out)+1, err)
		}
		out = append(out, line)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("write log: %w", err)
	}
	return out, nil
}

// Fault is one broken promise found in a log.
type Fault struct {
	Line   Line
	Reason string
}

// Judge looks for what must never be: a chip that took two different markers,
// PCIDs or manifests; a chip that took a key version or a life cycle state
// twice; one marker, PCID or manifest on two chips. The same value written
// again to the same chip is how an interrupted card is resumed, and is fine.
func Judge(lines []Line) []Fault {
	var faults []Fault
	type place struct {
		chip string
		step card.Step
		what string
	}
	written := map[place]string{}
	owner := map[place]string{}
	for _, l := range lines {
		if !l.Accepted() {
			continue
		}
		switch l.Step {
		case card.StepMarker, card.StepPCID, card.StepManifest:
			at := place{chip: l.Chip, step: l.Step}
			if old, ok := written[at]; ok && old != l.Digest {
				faults = append(faults, Fault{l, "the chip held another value"})
			}
			written[at] = l.Digest
			value := place{step: l.Step, what: l.Digest}
			if chip, ok := owner[value]; ok && chip != l.Chip {
				faults = append(faults, Fault{l, "the value is on chip " + chip + " too"})
			}
			owner[value] = l.Chip
		case card.StepPutKey, card.StepStatus:
			at := place{chip: l.Chip, step: l.Step, what: l.Value}
			if _, ok := written[at]; ok {
				faults = append(faults, Fault{l, "written twice"})
			}
			written[at] = l.Digest
		}
	}
	return faults
}
