package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// store is a folder with a file for each volume and snapshot. A file of `faults` makes the call of its name fail, with its
// contents as the reason.
type store string

func (s store) prepare() error {
	for _, folder := range []string{"volumes", "snapshots", "faults"} {
		if err := os.MkdirAll(filepath.Join(string(s), folder), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func (s store) volume(id string) string {
	return filepath.Join(string(s), "volumes", filepath.Base(id))
}

func (s store) snapshot(id string) string {
	return filepath.Join(string(s), "snapshots", filepath.Base(id))
}

// makeId returns the same id for the same name, so that a repeated call finds what the first one made.
func makeId(kind, name string) string {
	return fmt.Sprintf("%s-0%x", kind, sha256.Sum256([]byte(name)))[:len(kind)+18]
}

// fault returns the planted reason for which a call fails, or nothing.
func (s store) fault(call string) string {
	reason, _ := os.ReadFile(filepath.Join(string(s), "faults", call))
	return strings.TrimSpace(string(reason))
}

// copySparse copies a file. The copy appears whole or not at all.
func copySparse(from, to string) error {
	draft := to + ".draft"
	output, err := exec.Command("cp", "--sparse=always", "--reflink=auto", from, draft).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return os.Rename(draft, to)
}

// createSparse creates a file of this size without contents.
func createSparse(path string, bytes int64) error {
	draft := path + ".draft"
	file, err := os.Create(draft)
	if err != nil {
		return err
	}
	if err := file.Truncate(bytes); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(draft, path)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
