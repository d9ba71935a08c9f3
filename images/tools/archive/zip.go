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

// The limit for sparse files and further names of a file. An archive with terabytes of holes would never end.
const mostUnwritten = 64 << 30

// File systems with compression also use less space, but hardly by this factor.
const mostCompressed = 16

// The unit of `blocks` (stat(3type)), on every file system.
const blockBytes = 512

// A comment has at most 65,535 bytes (APPNOTE 4.4.12).
const mostNamed = 60_000

// The earliest and latest time that a zip can store.
var earliest, latest = time.Unix(315_619_200, 0), time.Unix(0x7fff_ffff, 0)

// writeZip writes everything below a directory, and returns the number of omitted files. The zip's comment names them:
// unreadable files, and sockets, pipes and devices, which have no meaning in a zip. Links are stored and not followed. A file
// has at most its initial size. writeZip fails only if the zip cannot be written.
func writeZip(to io.Writer, from string) (int, error) {
	draft := &draft{zip: zip.NewWriter(to), seen: map[uint64]bool{}, unwrittenLeft: mostUnwritten}
	// Time is short, and people's files compress well enough at any level.
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
	// Names of the omitted files, each with the reason.
	skipped []string
	// Files with several names, by inode number.
	seen          map[uint64]bool
	unwrittenLeft int64
}

// addAll fails only if the zip cannot be written.
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

// addFile adds a file. It may have changed since it was listed, so addFile follows no link and waits for no pipe.
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

// comment returns the comment without control characters, four of which end a zip.
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

// reading ends at a read error, which is no fault of the zip's writer.
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
