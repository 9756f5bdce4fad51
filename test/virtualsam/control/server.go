package control

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/vpcd"
	"dukcapil.go.id/sifilma/test/virtualsam/writelog"
)

const (
	maxLine    = 1 << 20
	removeTime = 5 * time.Second
)

// Server holds the chips and answers on the socket. Chips live as long as it does.
type Server struct {
	slots []*vpcd.Slot
	lines *writelog.Log
	log   zerolog.Logger

	mu    sync.Mutex // chips, order, and who is where
	chips map[string]*card.Chip
	order []string
}

// NewServer serves the given slots; writes go to lines.
func NewServer(slots []*vpcd.Slot, lines *writelog.Log, log zerolog.Logger) *Server {
	return &Server{slots: slots, lines: lines, log: log, chips: map[string]*card.Chip{}}
}

// Listen opens the socket at path for its owner alone; one left behind by a
// dead process is taken over, one in use is refused.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	var dialer net.Dialer
	if conn, err := dialer.DialContext(ctx, "unix", path); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("control: %s is in use", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control: %w", err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("control: %w", err)
	}
	return listener, nil
}

// Serve answers connections until ctx ends, then closes them all.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	var connections sync.WaitGroup
	defer connections.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("control: %w", err)
		}
		connections.Go(func() { s.converse(ctx, conn) })
	}
}

func (s *Server) converse(ctx context.Context, conn net.Conn) {
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	scanner := bufio.NewScanner(conn)
	scanner.Buffer(nil, maxLine)
	encoder := json.NewEncoder(conn)
	for scanner.Scan() {
		var request Request
		var response Response
		// The text of a decoding error can hold part of a key: do not pass it on.
		if json.Unmarshal(scanner.Bytes(), &request) != nil {
			response.Error = "the request is not JSON of the right shape"
		} else {
			response = s.answer(ctx, request)
		}
		if err := encoder.Encode(response); err != nil {
			return
		}
	}
}

func (s *Server) answer(ctx context.Context, r Request) Response {
	var out Response
	var err error
	switch r.Op {
	case OpMake:
		err = s.make(r)
	case OpInsert:
		err = s.insert(ctx, r)
	case OpRemove:
		err = s.remove(ctx, r.Reader)
	case OpList:
		out.Readers, out.Chips = s.list()
	case OpLog:
		out.Lines = s.lines.Since(r.Since)
	case OpFault:
		err = s.fault(r)
	case OpSecrets:
		out.Secrets, err = s.secrets(r.ID)
	case OpRelease:
		err = s.release(r.ID)
	default:
		err = fmt.Errorf("unknown op %q", r.Op)
	}
	if err != nil {
		return Response{Error: err.Error()}
	}
	s.log.Debug().Str("op", string(r.Op)).Str("id", r.ID).Str("reader", r.Reader).Msg("control")
	out.OK = true
	return out
}

func (s *Server) make(r Request) error {
	if r.Chip == nil || r.Chip.ID == "" {
		return errors.New("make needs a chip with an id")
	}
	m := r.Chip
	var bad error
	field := func(name, value string) []byte {
		b, err := hex.DecodeString(value)
		if err != nil {
			bad = fmt.Errorf("%s is not hex", name)
		}
		if len(b) == 0 {
			return nil
		}
		return b
	}
	one := func(name, value string) byte {
		b := field(name, value)
		if len(b) > 1 {
			bad = fmt.Errorf("%s is one byte", name)
		}
		if len(b) != 1 {
			return 0
		}
		return b[0]
	}
	cfg := card.Config{
		ChipID: field("chip_id", m.ChipID), Serial: m.Serial, KDD: field("kdd", m.KDD),
		KVN: one("kvn", m.KVN), LifeCycle: one("life_cycle", m.LifeCycle), Protocol: one("protocol", m.Protocol), I: one("i", m.I),
		Marker: field("marker", m.Marker), Sequence: m.Sequence,
		Keys: card.Keys{ENC: field("enc", string(m.ENC)), MAC: field("mac", string(m.MAC)), DEK: field("dek", string(m.DEK))},
	}
	if bad != nil {
		return bad
	}
	if cfg.ChipID == nil {
		seed := m.Seed
		if seed == "" {
			seed = m.ID
		}
		cfg.ChipID = card.SeedChipID(seed)
	}
	chip, err := card.New(cfg, s.lines)
	if err != nil {
		return err
	}
	chip.SetFault(m.Fault)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.chips[m.ID] != nil {
		return fmt.Errorf("there is a chip %q", m.ID)
	}
	s.chips[m.ID] = chip
	s.order = append(s.order, m.ID)
	return nil
}

func (s *Server) slot(reader string) (*vpcd.Slot, error) {
	for _, slot := range s.slots {
		if slot.Name() == reader {
			return slot, nil
		}
	}
	if i, err := strconv.Atoi(reader); err == nil && i >= 0 && i < len(s.slots) {
		return s.slots[i], nil
	}
	return nil, fmt.Errorf("no reader %q", reader)
}

func (s *Server) insert(ctx context.Context, r Request) error {
	slot, err := s.slot(r.Reader)
	if err != nil {
		return err
	}
	if err := s.place(slot, r.ID); err != nil || r.WaitMS <= 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.WaitMS)*time.Millisecond)
	defer cancel()
	return slot.WaitSeen(ctx)
}

func (s *Server) place(slot *vpcd.Slot, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	chip := s.chips[id]
	if chip == nil {
		return fmt.Errorf("no chip %q", id)
	}
	for _, other := range s.slots {
		if in, _ := other.Chip(); in == chip {
			return fmt.Errorf("chip %q is in reader %q", id, other.Name())
		}
	}
	return slot.Insert(chip)
}

func (s *Server) remove(ctx context.Context, reader string) error {
	slot, err := s.slot(reader)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, removeTime)
	defer cancel()
	return slot.Remove(ctx)
}

func (s *Server) list() ([]Reader, []Chip) {
	s.mu.Lock()
	defer s.mu.Unlock()
	readers := make([]Reader, len(s.slots))
	place := map[*card.Chip]int{}
	for i, slot := range s.slots {
		chip, seen := slot.Chip()
		readers[i] = Reader{Index: i, Name: slot.Name(), Address: slot.Address(), Seen: seen}
		if chip != nil {
			place[chip] = i
		}
	}
	chips := make([]Chip, 0, len(s.order))
	for _, id := range s.order {
		chip := s.chips[id]
		line := Chip{ID: id, State: chip.State()}
		line.Commands, line.First = chip.Heard()
		if i, ok := place[chip]; ok {
			line.Reader, readers[i].ID = readers[i].Name, id
		}
		chips = append(chips, line)
	}
	return readers, chips
}

// known is a chip that was made.
func (s *Server) known(id string) (*card.Chip, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if chip := s.chips[id]; chip != nil {
		return chip, nil
	}
	return nil, fmt.Errorf("no chip %q", id)
}

func (s *Server) secrets(id string) (list []ChipSecret, err error) {
	chip, err := s.known(id)
	if err != nil {
		return nil, err
	}
	for _, one := range chip.Secrets() {
		list = append(list, ChipSecret{one.Name, Secret(hex.EncodeToString(one.Value))})
	}
	return list, nil
}

func (s *Server) fault(r Request) error {
	chip, err := s.known(r.ID)
	if err != nil {
		return err
	}
	if r.Fault == nil {
		chip.SetFault(card.Fault{})
		return nil
	}
	chip.SetFault(*r.Fault)
	return nil
}

func (s *Server) release(id string) error {
	chip, err := s.known(id)
	if err != nil {
		return err
	}
	if !chip.Release() {
		return fmt.Errorf("chip %q holds no command", id)
	}
	return nil
}
