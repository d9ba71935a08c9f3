interface Connection {
  destroy(): void;
}

/** Connections before their login. */
export interface SshStartups {
  /** Counts a connection and returns a function to call after the login. The connection may be destroyed before. */
  begin(connection: Connection): () => void;
}

/** Enough for clients that start at once, such as Ansible with many forks. */
export const MOST_STARTUPS = 500;

/**
 * Bounds connections without a login, from their first packet on (ssh2 sees a connection only after the client
 * speaks). Each has `withinMs` for its login; beyond `most` the oldest is dropped.
 * OpenSSH drops new connections instead (MaxStartups in sshd_config(5)), so a flood of silent ones locks out
 * everyone. Source addresses do not help, because all clients come from the loopback.
 */
export function sshStartups(withinMs: number, most = MOST_STARTUPS): SshStartups {
  const waiting = new Set<Connection>();
  return {
    begin: (connection) => {
      const late = setTimeout(() => connection.destroy(), withinMs);
      waiting.add(connection);
      const [oldest] = waiting;
      if (oldest && waiting.size > most) {
        waiting.delete(oldest);
        oldest.destroy();
      }
      return () => {
        clearTimeout(late);
        waiting.delete(connection);
      };
    },
  };
}
