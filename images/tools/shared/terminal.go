package shared

import (
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// OpenTerminal opens both ends of a new pseudo-terminal (pty(7)).
func OpenTerminal() (master, slave *os.File, err error) {
	if master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	var name, locked int32
	control(master, syscall.TIOCSPTLCK, unsafe.Pointer(&locked))
	control(master, syscall.TIOCGPTN, unsafe.Pointer(&name))
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(int(name)), os.O_RDWR|syscall.O_NOCTTY, 0)
	return master, slave, err
}

func ResizeTerminal(master *os.File, columns, lines uint16) {
	control(master, syscall.TIOCSWINSZ, unsafe.Pointer(&[4]uint16{lines, columns}))
}

// control keeps the file non-blocking, unlike File.Fd. So a close wakes a blocked read.
func control(file *os.File, request uintptr, argument unsafe.Pointer) {
	if raw, err := file.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(argument)) })
	}
}
