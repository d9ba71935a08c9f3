package main

import (
	"archive/zip"
	"compress/flate"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// In files with holes, and under further names of a file: an archive of terabytes that nobody wrote would never end.
const mostUnwritten = 64 << 30

// File systems that compress make less of a file as well, but hardly to a part of so many.
const mostCompressed = 16

// Of `blocks` (stat(3type)), whatever the file system's own have.
const blockBytes = 512

// A comment has at most 65,535 bytes (APPNOTE 4.4.12).
const mostNamed = 60_000

// What a zip says of times has room for no earlier and no later one.
var earliest, latest = time.Unix(315_619_200, 0), time.Unix(0x7fff_ffff, 0)

// writeZip writes everything below a directory and says how much of it is left out, which the zip's comment names: what
// could not be read, and sockets, pipes and devices, which mean nothing in a zip. Links are stored and not followed.
// A file holds what was read of it, at most as much as it had at first. It fails where the zip cannot be written.
func writeZip(to io.Writer, from string) (int, error) {
	draft := &draft{zip: zip.NewWriter(to), seen: map[uint64]bool{}, unwrittenLeft: mostUnwritten}
	// Time is short and what people write compresses well enough at any level.
	draft.zip.RegisterCompressor(zip.Deflate, func(to io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(to, flate.BestSpeed)
	})
	entries, err := os.ReadDir(from)
	if err != nil {
		return 0, err
	}
	if err := draft.addAll(entries, from, ""); err != nil {
		return 0, err
	}
	if err := draft.zip.SetComment(draft.comment()); err != nil {
		return 0, err
	}
	return len(draft.skipped), draft.zip.Close()
}

type draft struct {
	zip *zip.Writer
	// By their names, each with the reason.
	skipped []string
	// Files that have several names, by their numbers.
	seen          map[uint64]bool
	unwrittenLeft int64
}

// addAll fails only where the zip cannot be written.
func (draft *draft) addAll(entries []os.DirEntry, path, name string) error {
	names := make([]string, len(entries))
	for n, entry := range entries {
		names[n] = entry.Name()
	}
	for n, inZip := range namesInZip(names) {
		if err := draft.add(filepath.Join(path, names[n]), name+inZip); err != nil {
			return err
		}
	}
	return nil
}

func (draft *draft) add(path, name string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return draft.skip(name, "could not be read")
	}
	switch kind := info.Mode().Type(); kind {
	case fs.ModeDir:
		return draft.addFolder(info, path, name)
	case fs.ModeSymlink:
		target, err := os.Readlink(path)
		if err != nil {
			return draft.skip(name, "could not be read")
		}
		return draft.write(info, name, zip.Store, strings.NewReader(target))
	case 0:
		return draft.addFile(path, name)
	default:
		return draft.skip(name, "a "+kindOf(kind))
	}
}

func (draft *draft) addFolder(info fs.FileInfo, path, name string) error {
	if err := draft.write(info, name+"/", zip.Store, strings.NewReader("")); err != nil {
		return err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return draft.skip(name, "could not be read")
	}
	return draft.addAll(entries, path, name+"/")
}

// addFile: what it is may have changed since it was listed, so that a link is not followed and a pipe not waited for.
func (draft *draft) addFile(path, name string) error {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return draft.skip(name, "could not be read")
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return draft.skip(name, "changed meanwhile")
	}
	if !draft.mayRead(info) {
		return draft.skip(name, "takes far less on the disk")
	}
	source := &reading{file: io.LimitReader(file, info.Size())}
	if err := draft.write(info, name, zip.Deflate, source); err != nil {
		return err
	}
	if source.err != nil {
		return draft.skip(name, "could not be read to its end")
	}
	return nil
}

func (draft *draft) write(info fs.FileInfo, name string, method uint16, from io.Reader) error {
	header := &zip.FileHeader{Name: name, Method: method, Modified: timeInZip(info.ModTime())}
	header.SetMode(info.Mode())
	to, err := draft.zip.CreateHeader(header)
	if err == nil && !info.IsDir() {
		_, err = io.Copy(to, from)
	}
	return err
}

func (draft *draft) mayRead(info fs.FileInfo) bool {
	stat := info.Sys().(*syscall.Stat_t)
	isKnown := stat.Nlink > 1 && draft.seen[stat.Ino]
	if stat.Nlink > 1 {
		draft.seen[stat.Ino] = true
	}
	if !isKnown && stat.Blocks*blockBytes*mostCompressed >= stat.Size {
		return true
	}
	if stat.Size > draft.unwrittenLeft {
		return false
	}
	draft.unwrittenLeft -= stat.Size
	return true
}

func (draft *draft) skip(name, why string) error {
	draft.skipped = append(draft.skipped, fmt.Sprintf("%s (%s)", name, why))
	return nil
}

// comment has no control characters, four of which end a zip.
func (draft *draft) comment() string {
	if len(draft.skipped) == 0 {
		return ""
	}
	text := fmt.Sprintf("%d are left out:", len(draft.skipped))
	for _, name := range draft.skipped {
		if len(text)+len(name)+1 > mostNamed {
			break
		}
		text += "\n" + strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return '?'
			}
			return r
		}, name)
	}
	return text
}

func kindOf(kind fs.FileMode) string {
	switch kind {
	case fs.ModeNamedPipe:
		return "pipe"
	case fs.ModeSocket:
		return "socket"
	}
	return "device"
}

func timeInZip(at time.Time) time.Time {
	if at.Before(earliest) {
		return earliest
	}
	if at.After(latest) {
		return latest
	}
	return at
}

// reading ends where nothing more can be read: that is no fault of whoever the zip is written to.
type reading struct {
	file io.Reader
	err  error
}

func (source *reading) Read(into []byte) (int, error) {
	n, err := source.file.Read(into)
	if err != nil && err != io.EOF {
		source.err = err
		return n, io.EOF
	}
	return n, err
}
