package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// extension is one of OpenSSH's (its PROTOCOL file, section 4), or of draft-ietf-secsh-filexfer-extensions-00.
type extension struct {
	name, version string
	// answer returns the type and the fields of a reply. If it is nil, the library answers.
	answer func(fields *reader, files map[string]opened) (byte, []byte, error)
}

// extensions has the order of docs/ssh.md.
var extensions = []extension{
	{"posix-rename@openssh.com", "1", nil},
	{"statvfs@openssh.com", "2", nil},
	{"fstatvfs@openssh.com", "2", answerRoom},
	{"hardlink@openssh.com", "1", nil},
	{"fsync@openssh.com", "1", answerSync},
	{"lsetstat@openssh.com", "1", answerLinkAttributes},
	{"limits@openssh.com", "1", answerLimits},
	{"expand-path@openssh.com", "1", answerExpandedPath},
	{"copy-data", "1", answerCopy},
	{"home-directory", "1", answerHome},
	{"users-groups-by-id@openssh.com", "1", answerNames},
}

func find(name string) *extension {
	for n := range extensions {
		if extensions[n].name == name {
			return &extensions[n]
		}
	}
	return nil
}

func announce() []byte {
	body := binary.BigEndian.AppendUint32(nil, 3)
	for _, each := range extensions {
		body = appendString(appendString(body, each.name), each.version)
	}
	return newPacket(typeVersion, body)
}

const (
	statusDone        = 0
	statusNoFile      = 2
	statusForbidden   = 3
	statusFailure     = 4
	statusBadMessage  = 5
	flagAppend        = 4
	hasSize           = 1
	hasOwner          = 2
	hasMode           = 4
	hasTimes          = 8
	mostHandlesUnsaid = 0
)

var errBadMessage = errors.New("The request cannot be read")

func (e *extension) reply(id uint32, files map[string]opened, fields reader) []byte {
	kind, body, err := e.answer(&fields, files)
	if fields.isShort {
		err = errBadMessage
	}
	start := binary.BigEndian.AppendUint32(nil, id)
	if err == nil && kind != typeStatus {
		return newPacket(kind, append(start, body...))
	}
	text := "Success"
	if err != nil {
		text = err.Error()
	}
	status := binary.BigEndian.AppendUint32(start, statusOf(err))
	return newPacket(typeStatus, appendString(appendString(status, text), ""))
}

func statusOf(err error) uint32 {
	switch {
	case err == nil:
		return statusDone
	case errors.Is(err, errBadMessage):
		return statusBadMessage
	case errors.Is(err, os.ErrNotExist):
		return statusNoFile
	case errors.Is(err, os.ErrPermission):
		return statusForbidden
	}
	return statusFailure
}

// getFile returns the file of a handle. Its path may lead to another file by now, as only the library has it open.
func getFile(fields *reader, files map[string]opened) (opened, error) {
	file, isOpen := files[fields.string()]
	if !isOpen {
		return opened{}, errors.New("Not a file")
	}
	return file, nil
}

func answerRoom(fields *reader, files map[string]opened) (byte, []byte, error) {
	file, err := getFile(fields, files)
	if err != nil {
		return 0, nil, err
	}
	var room unix.Statfs_t
	if err := unix.Statfs(file.path, &room); err != nil {
		return 0, nil, err
	}
	size := uint64(room.Bsize)
	counts := []uint64{size, size, room.Blocks, room.Bfree, room.Bavail, room.Files, room.Ffree, room.Ffree, 0, 0}
	return typeReply, appendNumbers(nil, append(counts, uint64(room.Namelen))...), nil
}

func answerSync(fields *reader, files map[string]opened) (byte, []byte, error) {
	file, err := getFile(fields, files)
	if err != nil {
		return 0, nil, err
	}
	// Linux syncs the file, whichever descriptor wrote it.
	descriptor, err := os.OpenFile(file.path, os.O_WRONLY, 0)
	if errors.Is(err, os.ErrPermission) {
		descriptor, err = os.Open(file.path)
	}
	if err != nil {
		return 0, nil, err
	}
	defer descriptor.Close()
	return typeStatus, nil, descriptor.Sync()
}

func answerLinkAttributes(fields *reader, _ map[string]opened) (byte, []byte, error) {
	path, flags := fields.string(), fields.uint32()
	if flags&hasSize != 0 {
		fields.uint64()
	}
	if flags&hasOwner != 0 {
		owner, group := int(fields.uint32()), int(fields.uint32())
		if err := os.Lchown(path, owner, group); err != nil || fields.isShort {
			return typeStatus, nil, err
		}
	}
	if flags&hasMode != 0 {
		mode := fields.uint32() & 0o7777
		if err := changeMode(path, mode); err != nil || fields.isShort {
			return typeStatus, nil, err
		}
	}
	if flags&hasTimes == 0 {
		return typeStatus, nil, nil
	}
	times := []unix.Timespec{{Sec: int64(fields.uint32())}, {Sec: int64(fields.uint32())}}
	return typeStatus, nil, unix.UtimesNanoAt(unix.AT_FDCWD, path, times, unix.AT_SYMLINK_NOFOLLOW)
}

// changeMode refuses symbolic links, whose mode Linux does not change (symlink(7)). Linux before 6.6 has no fchmodat2, and
// fchmod of a descriptor that only names a file fails, so it changes the mode by /proc as glibc does.
func changeMode(path string, mode uint32) error {
	descriptor, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(descriptor)
	var found unix.Stat_t
	if err := unix.Fstat(descriptor, &found); err != nil {
		return err
	}
	if found.Mode&unix.S_IFMT == unix.S_IFLNK {
		return unix.EOPNOTSUPP
	}
	return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", descriptor), mode)
}

func answerLimits(*reader, map[string]opened) (byte, []byte, error) {
	return typeReply, appendNumbers(nil, longestPacket, longestData, longestData, mostHandlesUnsaid), nil
}

// answerCopy copies to the end of the file if the length is 0.
func answerCopy(fields *reader, files map[string]opened) (byte, []byte, error) {
	from, errFrom := getFile(fields, files)
	at, length := fields.uint64(), fields.uint64()
	to, errTo := getFile(fields, files)
	position := fields.uint64()
	if err := errors.Join(errFrom, errTo); err != nil || fields.isShort {
		return 0, nil, err
	}
	source, err := os.Open(from.path)
	if err != nil {
		return 0, nil, err
	}
	defer source.Close()
	flags := os.O_WRONLY
	if to.flags&flagAppend != 0 {
		flags |= os.O_APPEND
	}
	target, err := os.OpenFile(to.path, flags, 0)
	if err != nil {
		return 0, nil, err
	}
	defer target.Close()
	if err := refuseSame(source, target); err != nil {
		return 0, nil, err
	}
	return typeStatus, nil, copyBytes(source, int64(at), target, int64(position), int64(length))
}

func refuseSame(source, target *os.File) error {
	first, err := source.Stat()
	if err != nil {
		return err
	}
	second, err := target.Stat()
	if err == nil && os.SameFile(first, second) {
		err = errors.New("A file cannot be copied onto itself")
	}
	return err
}

func copyBytes(source *os.File, at int64, target *os.File, position, length int64) error {
	if _, err := source.Seek(at, io.SeekStart); err != nil {
		return err
	}
	if _, err := target.Seek(position, io.SeekStart); err != nil {
		return err
	}
	var from io.Reader = source
	if length > 0 {
		from = io.LimitReader(source, length)
	}
	_, err := io.Copy(target, from)
	return err
}

func answerExpandedPath(fields *reader, _ map[string]opened) (byte, []byte, error) {
	path, err := expandHome(fields.string())
	if err != nil {
		return 0, nil, err
	}
	return nameReply(path)
}

func answerHome(fields *reader, _ map[string]opened) (byte, []byte, error) {
	home, err := findHome(fields.string())
	if err != nil {
		return 0, nil, err
	}
	return nameReply(home)
}

// nameReply has an absolute path. A path that does not exist is given as it is.
func nameReply(path string) (byte, []byte, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return 0, nil, err
	}
	if real, err := filepath.EvalSymlinks(absolute); err == nil {
		absolute = real
	}
	body := appendString(appendString(binary.BigEndian.AppendUint32(nil, 1), absolute), absolute)
	return typeName, binary.BigEndian.AppendUint32(body, 0), nil
}

func answerNames(fields *reader, _ map[string]opened) (byte, []byte, error) {
	users, groups := fields.string(), fields.string()
	if len(users)%4 != 0 || len(groups)%4 != 0 {
		return 0, nil, errBadMessage
	}
	body := appendString(nil, listNames("/etc/passwd", users))
	return typeReply, appendString(body, listNames("/etc/group", groups)), nil
}

func appendNumbers(to []byte, numbers ...uint64) []byte {
	for _, number := range numbers {
		to = binary.BigEndian.AppendUint64(to, number)
	}
	return to
}
