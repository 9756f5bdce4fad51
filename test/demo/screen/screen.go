// Package screen shows the progress of the demo: a bar per stage, rewritten in
// place on a terminal, one line per change elsewhere.
package screen

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

const width = 24

// Screen writes progress for people.
type Screen struct {
	mu    sync.Mutex
	w     io.Writer
	live  bool // a terminal: lines are rewritten
	open  bool // the last line is a bar that may be rewritten
	last  string
	began time.Time
}

// New makes a screen; times are counted from began.
func New(w io.Writer, began time.Time) *Screen {
	s := &Screen{w: w, began: began}
	if f, ok := w.(*os.File); ok {
		if st, err := f.Stat(); err == nil {
			s.live = st.Mode()&os.ModeCharDevice != 0
		}
	}
	return s
}

// Say prints a line of text.
func (s *Screen) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
	_, _ = fmt.Fprintf(s.w, format+"\n", args...)
}

// Bar shows how far a stage is. note says what happens now.
func (s *Screen) Bar(stage string, done, total int, note string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	filled := 0
	if total > 0 {
		filled = width * min(done, total) / total
	}
	bar := fmt.Sprintf("  %-16s [%s%s] %3d/%-3d", stage, strings.Repeat("#", filled), strings.Repeat("-", width-filled), done, total)
	if key := bar + note; key == s.last {
		return
	} else if s.open && !strings.HasPrefix(s.last, fmt.Sprintf("  %-16s [", stage)) {
		s.end()
		s.last = key
	} else {
		s.last = key
	}
	line := fmt.Sprintf("%s %5.1fs  %s", bar, time.Since(s.began).Seconds(), note)
	if s.live {
		_, _ = fmt.Fprintf(s.w, "\r\x1b[2K%s", line)
		s.open = true
		if done >= total && total > 0 {
			s.end()
		}
		return
	}
	_, _ = fmt.Fprintln(s.w, line)
}

func (s *Screen) end() {
	if s.open {
		_, _ = fmt.Fprintln(s.w)
	}
	s.open = false
}
