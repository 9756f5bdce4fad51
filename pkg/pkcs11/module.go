package pkcs11

import (
	"fmt"
	"sync"

	p11 "github.com/miekg/pkcs11"
)

// module is a PKCS#11 library loaded into this process. C_Initialize counts
// per process and not per user of the library, therefore all Tokens on one
// library share one module. A library that was initialised again (which is how
// SoftHSM learns of tokens made or returned since) has forgotten all sessions
// and session objects: life tells the connections of before apart.
type module struct {
	path string

	mu      sync.RWMutex // held for reading during every call, for writing while (re)initialising
	ctx     *p11.Ctx
	ready   bool
	foreign bool // initialised by someone else in this process: not ours to finalise
	life    uint64
	keys    int // transient keys alive, under keysMu
	keysMu  sync.Mutex

	// objects is held for writing while an object is stored in a token, and for reading
	// while objects are searched for. SoftHSM takes up what it finds on the disk while it
	// searches, also what another thread of this process has only half written, and then
	// spoils it (CKR_GENERAL_ERROR, CKR_TEMPLATE_INCONSISTENT).
	objects sync.RWMutex

	users int // under modulesMu
}

var (
	modulesMu sync.Mutex
	modules   = map[string]*module{}
)

// loadModule gives the process's module for this path. The library is opened on
// the first use only.
func loadModule(path string) *module {
	modulesMu.Lock()
	defer modulesMu.Unlock()
	m := modules[path]
	if m == nil {
		m = &module{path: path}
		modules[path] = m
	}
	m.users++
	return m
}

// release lets go of the module; the last user finalises the library.
func (m *module) release() {
	modulesMu.Lock()
	defer modulesMu.Unlock()
	if m.users--; m.users > 0 {
		return
	}
	delete(modules, m.path)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stop()
	if m.ctx != nil {
		m.ctx.Destroy()
		m.ctx = nil
	}
}

// start loads and initialises the library when that has not been done.
func (m *module) start() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.startLocked()
}

func (m *module) startLocked() error {
	if m.ready {
		return nil
	}
	if m.ctx == nil {
		if m.ctx = p11.New(m.path); m.ctx == nil {
			return fmt.Errorf("%w: PKCS#11 module %s does not load", ErrTokenGone, m.path)
		}
	}
	err := m.ctx.Initialize()
	m.foreign = code(err) == p11.CKR_CRYPTOKI_ALREADY_INITIALIZED
	if err != nil && !m.foreign {
		return fmt.Errorf("%w: initialise: %w", ErrTokenGone, err)
	}
	m.ready = true
	m.life++
	return nil
}

func (m *module) stop() {
	if m.ready && !m.foreign {
		_ = m.ctx.Finalize() // a library that lost its token may refuse; it is initialised anew either way
	}
	m.ready = false
}

// restart initialises the library again, so that it looks at its tokens anew.
// It does nothing and answers false while transient keys of any Token live,
// because they would be lost.
func (m *module) restart() (done bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keysMu.Lock()
	busy := m.keys > 0
	m.keysMu.Unlock()
	if busy {
		return false, nil
	}
	m.stop()
	return true, m.startLocked()
}

// addKeys counts transient keys up or down.
func (m *module) addKeys(n int) {
	m.keysMu.Lock()
	m.keys += n
	m.keysMu.Unlock()
}
