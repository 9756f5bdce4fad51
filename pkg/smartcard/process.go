package smartcard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is one child process of a reader.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.Reader
	frames *frameWriter

	turn chan struct{} // held by the one command under way

	mu      sync.Mutex
	nextID  uint64
	waiting map[uint64]chan message
	cause   error         // why it was killed
	dead    chan struct{} // closed when it was killed or is gone

	// Only the goroutine that reads frames uses these.
	childSeq, seq uint64
}

func startProcess(opts Options) (*process, error) {
	cmd := exec.Command(opts.Command[0], opts.Command[1:]...)
	cmd.Env = append(cmd.Environ(), opts.Env...)
	cmd.Stderr = opts.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true, // a Ctrl-C at the terminal is for the supervisor; and kill reaches all
		Pdeathsig: syscall.SIGKILL,
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{
		cmd: cmd, stdin: stdin, stdout: stdout, frames: &frameWriter{w: stdin},
		turn: make(chan struct{}, 1), waiting: make(map[uint64]chan message),
		dead: make(chan struct{}),
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// readFrames hands events to take and answers to whoever waits, until the
// child closes its output or writes something that is no frame.
func (p *process) readFrames(take func(message) uint64) error {
	for {
		m, err := readFrame(p.stdout)
		if err != nil {
			return err
		}
		if m.Event != "" {
			seq := take(m)
			if m.Event == Inserted {
				p.childSeq, p.seq = m.Seq, seq
			}
			continue
		}
		switch {
		case m.Seq == p.childSeq:
			m.Seq = p.seq
		case m.Class == classOK && m.Seq != 0:
			m.Class, m.Detail = classCardGone, "card was changed while connecting"
		}
		p.mu.Lock()
		answer := p.waiting[m.ID]
		delete(p.waiting, m.ID)
		p.mu.Unlock()
		if answer != nil {
			answer <- m
		}
	}
}

// kill ends the child and everything it started, at once. The first cause is
// kept.
func (p *process) kill(cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cause == nil {
		p.cause = cause
		close(p.dead)
		// The only error is that nobody is left to kill.
		_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
	}
}

// reap waits for the child after its output has ended, and says why it ended.
func (p *process) reap(reading error) error {
	if errors.Is(reading, io.EOF) {
		reading = errors.New("smartcard: reader process closed its output")
	}
	p.kill(reading)
	err := p.cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%w (%w)", p.cause, err)
	}
	return p.cause
}

// stopWith lets the child end by closing its input once ctx is done, and kills
// it if it takes too long.
func (p *process) stopWith(ctx context.Context, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	// An error means that the child is gone already.
	_ = p.stdin.Close()
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-ended:
	case <-grace.C:
		p.kill(errors.New("smartcard: reader process did not stop"))
	}
}

// call sends a command and waits for its answer for at most limit, or until the
// deadline of ctx if that is earlier; then the child is killed. ErrReaderGone and the error of ctx mean that the child did
// not get the command, ErrOutcomeUnknown that it may have carried it out.
func (p *process) call(ctx context.Context, m message, limit time.Duration) (message, error) {
	if err := ctx.Err(); err != nil {
		return message{}, err
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-p.dead:
		return message{}, p.gone()
	case <-ctx.Done():
		return message{}, ctx.Err()
	}
	if deadline, ok := ctx.Deadline(); ok {
		if limit = min(limit, time.Until(deadline)); limit <= 0 {
			return message{}, context.DeadlineExceeded
		}
	}
	answer := make(chan message, 1)
	p.mu.Lock()
	if p.cause != nil {
		p.mu.Unlock()
		return message{}, p.gone()
	}
	p.nextID++
	m.ID = p.nextID
	p.waiting[m.ID] = answer
	p.mu.Unlock()

	timeout := time.AfterFunc(limit, func() {
		p.kill(fmt.Errorf("smartcard: no answer to %s within %s", m.Op, limit.Round(time.Millisecond)))
	})
	defer timeout.Stop()
	if err := p.frames.write(m); err != nil {
		// An incomplete frame is never carried out.
		p.kill(fmt.Errorf("smartcard: cannot reach the reader process: %w", err))
		return message{}, p.gone()
	}
	select {
	case reply := <-answer:
		return reply, nil
	case <-p.dead:
	}
	select {
	case reply := <-answer: // it was faster than the kill
		return reply, nil
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return message{}, fmt.Errorf("%w: %w", ErrOutcomeUnknown, p.cause)
}

// gone is the error for a command that was not given to a dead child.
func (p *process) gone() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Errorf("%w: %w", ErrReaderGone, p.cause)
}
