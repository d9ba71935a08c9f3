/**
 * Bounds connections that may stay only for a moment: SSH before the login, SSH into an ended environment, and HTTP before
 * the first request. It counts SSH from the start of the connection, because ssh2 sees a connection only after the client
 * speaks. Each connection has `withinMs`. Beyond `most`, the oldest is dropped. OpenSSH drops new connections instead
 * (MaxStartups in sshd_config(5)), so a flood of silent ones locks out all users. Bounds by source address would not help
 * where all clients share one, as behind a tunnel. The returned function counts a connection. It returns a function that
 * ends the count, for the login, the first request or the end of the connection.
 */
export function boundShortStays(
  withinMs: number,
  most: number,
  onFull: () => void = () => undefined,
): (socket: Destroyable) => () => void {
  const waiting = new Set<Destroyable>();
  return (socket) => {
    const late = setTimeout(() => socket.destroy(), withinMs);
    waiting.add(socket);
    const [oldest] = waiting;
    if (oldest && waiting.size > most) {
      onFull();
      waiting.delete(oldest);
      oldest.destroy();
    }
    return () => {
      clearTimeout(late);
      waiting.delete(socket);
    };
  };
}

interface Destroyable {
  destroy(): void;
}
