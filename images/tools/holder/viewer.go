package main

import (
	"net"
	"time"

	"tools/shared"
)

// attachTime is the time for the first frame of a connection, and for the last one of a viewer who was replaced.
const attachTime = 10 * time.Second

// mostShown is the most output in a frame.
const mostShown = 32 << 10

// viewer is a connection to a terminal. The holder's mu guards it.
type viewer struct {
	conn *net.UnixConn
	// Offsets of the output.
	sent, acked int64
	// Bytes of input that the terminal has not taken yet, and those it took that the viewer was not told.
	untaken, taken    int
	isGreeted, isTold bool
	hasLeft           bool
}

// join serves a connection until it ends. Any frame that a gateway does not send ends it.
func (h *holder) join(conn *net.UnixConn) {
	defer conn.Close()
	if !isOwn(conn) {
		return
	}
	conn.SetReadDeadline(time.Now().Add(attachTime))
	first, err := readFrame(conn)
	if err != nil || first.kind != 'a' {
		return
	}
	conn.SetReadDeadline(time.Time{})
	v := h.attach(conn, first.content)
	if v == nil {
		return
	}
	defer h.leave(v)
	for {
		next, err := readFrame(conn)
		if err != nil || !h.take(v, next) {
			return
		}
	}
}

// attach makes this viewer the present one. It returns nil if the terminal is over.
func (h *holder) attach(conn *net.UnixConn, content []byte) *viewer {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.isOver {
		return nil
	}
	h.timer.Stop()
	columns, lines := readSize(content)
	shared.ResizeTerminal(h.master, columns, lines)
	start := h.kept.clamp(readOffset(content[resizeSize:]))
	v := &viewer{conn: conn, sent: start, acked: start}
	if h.viewer != nil {
		h.viewer.conn.SetWriteDeadline(time.Now().Add(attachTime))
	}
	h.viewer = v
	h.changed.Broadcast()
	go h.show(v)
	return v
}

func (h *holder) leave(v *viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v.hasLeft = true
	h.changed.Broadcast()
	if h.viewer != v {
		return
	}
	h.viewer = nil
	if v.isTold && v.acked == h.kept.end {
		h.finish()
		return
	}
	h.await()
}

// take reports whether a frame is in the protocol.
func (h *holder) take(v *viewer, next frame) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.viewer != v {
		return false
	}
	switch next.kind {
	case 'i':
		v.untaken += len(next.content)
		h.typedSize += len(next.content)
		h.typed = append(h.typed, typed{v, next.content})
	case 'w':
		columns, lines := readSize(next.content)
		shared.ResizeTerminal(h.master, columns, lines)
	case 'k':
		v.acked = min(v.sent, max(v.acked, readOffset(next.content)))
	}
	h.changed.Broadcast()
	return next.kind != 'a' && v.untaken <= window && h.typedSize <= mostTyped
}

// show writes frames to a viewer as fast as it reads. So nothing waits in memory but the kept output.
func (h *holder) show(v *viewer) {
	defer v.conn.Close()
	for {
		next, isLast := h.nextFrame(v)
		if _, err := v.conn.Write(next); err != nil || isLast {
			return
		}
	}
}

// nextFrame waits until there is something to show.
func (h *holder) nextFrame(v *viewer) (next []byte, isLast bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		most := min(h.kept.end, v.acked+window, v.sent+mostShown)
		switch {
		case v.hasLeft:
			return nil, true
		case h.viewer != v:
			return newFrame('r', nil), true
		case !v.isGreeted:
			v.isGreeted = true
			return newFrame('h', offsetBytes(v.sent)), false
		case v.taken > 0:
			next, v.taken = newFrame('t', numberBytes(v.taken)), 0
			return next, false
		case most > v.sent:
			next, v.sent = newFrame('o', h.kept.slice(v.sent, most)), most
			return next, false
		case h.state == isEnded && !v.isTold && v.sent == h.kept.end:
			v.isTold = true
			return newFrame('x', numberBytes(h.exitCode)), false
		}
		h.changed.Wait()
	}
}
