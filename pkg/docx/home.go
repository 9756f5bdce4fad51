package docx

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

const (
	homePrefix = "sifilma-soffice-"
	lockName   = "lock"
)

// makeHome makes a converter's directory below workDir (the system's temporary
// folder when empty) and locks it for the life of this process.
func makeHome(workDir string) (home string, lock *os.File, err error) {
	if workDir == "" {
		workDir = os.TempDir()
	}
	if workDir, err = filepath.Abs(workDir); err != nil {
		return "", nil, err
	}
	sweep(workDir)
	for range 3 { // another's sweep may come between the file and its lock
		if home, err = os.MkdirTemp(workDir, homePrefix); err != nil {
			return "", nil, err
		}
		if lock, err = lockFile(filepath.Join(home, lockName), os.O_CREATE); err == nil {
			return home, lock, nil
		}
		err = errors.Join(err, os.RemoveAll(home))
	}
	return "", nil, err
}

// sweep removes the directories of processes that are gone: nobody holds their
// locks. What cannot be removed does no harm.
func sweep(workDir string) {
	homes, err := filepath.Glob(filepath.Join(workDir, homePrefix+"*"))
	if err != nil {
		return
	}
	for _, home := range homes {
		lock, err := lockFile(filepath.Join(home, lockName), 0)
		if err != nil {
			continue // alive, being made, or somebody else's
		}
		_ = os.RemoveAll(home)
		_ = lock.Close()
	}
}

func lockFile(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
