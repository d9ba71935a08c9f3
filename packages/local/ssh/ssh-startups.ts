interface Connection {
  destroy(): void;
}

/** The connections that nobody has logged in on yet. */
export interface SshStartups {
  /** Counts a connection, which may be destroyed before, until the function that it answers is called. */
  begin(connection: Connection): () => void;
}

/** More than clients that begin at once, as Ansible's with many forks, and few enough to hold. */
export const MOST_STARTUPS = 500;

/**
 * Bounds the connections without a login, from their first packet on: ssh2 knows of none before its client has said
 * something. Each has so many ms for its login; beyond the bound the oldest makes room. OpenSSH drops the new one by
 * chance and then every one (MaxStartups in sshd_config(5)), so that whoever opens connections and says nothing keeps
 * everybody out until their time is over. Here a login gets in if it needs less time than others need to open as many
 * connections as the bound. Addresses tell nobody apart: the server is on the loopback, where clients have one and the
 * same, and whoever floods it has as many as they like.
 */
export function sshStartups(withinMs: number, most = MOST_STARTUPS): SshStartups {
  /** Oldest first. */
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
