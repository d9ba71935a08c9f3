import { execFile } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { promisify } from "node:util";

export interface TcpEnd {
  readonly local: number;
  readonly remote: number;
  readonly pid: number;
  readonly noDelay: boolean;
}

/** Returns the open ends whose local or remote port is `port`, with their TCP_NODELAY option. */
export async function tcpEnds(port: number): Promise<TcpEnd[]> {
  const { stdout } = await promisify(execFile)("python3", ["-c", program, String(port)]);
  return JSON.parse(stdout) as TcpEnd[];
}

/** Duplicates each descriptor (pidfd_getfd(2)) to read TCP_NODELAY, which /proc and ss do not show. */
const program = `
import ctypes, json, os, socket, sys
wanted = int(sys.argv[1])
call = ctypes.CDLL(None, use_errno=True).syscall
port = lambda address: int(address.rsplit(":", 1)[1], 16)
pids = list(filter(str.isdigit, os.listdir("/proc")))
networks, known, found = set(), {}, []
for pid in pids:
    try:
        name = os.readlink(f"/proc/{pid}/ns/net")
        if name in networks:
            continue
        networks.add(name)
        rows = [line.split() for path in ("tcp", "tcp6") for line in open(f"/proc/{pid}/net/{path}").readlines()[1:]]
    except OSError:
        continue
    for row in rows:
        ends = (port(row[1]), port(row[2]))
        if row[3] == "01" and wanted in ends:
            known["socket:[" + row[9] + "]"] = ends
def links(pid):
    try:
        return [(fd, os.readlink(f"/proc/{pid}/fd/{fd}")) for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return []
for pid in pids:
    for fd, link in links(pid):
        if link not in known:
            continue
        copy = call(438, os.pidfd_open(int(pid)), int(fd), 0)
        if copy < 0:
            sys.exit("pidfd_getfd is refused")
        local, remote = known.pop(link)
        with socket.socket(fileno=copy) as end:
            option = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        found.append({"local": local, "remote": remote, "pid": int(pid), "noDelay": option != 0})
print(json.dumps(found))
`;

export async function lacksTcpEnds(): Promise<string | undefined> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = connect(port, "127.0.0.1");
  await once(client, "connect");
  const ends = await tcpEnds(port).catch(() => []);
  client.destroy();
  server.close();
  return ends.length > 0 ? undefined : "this machine has no python3 that may look at the sockets of other processes";
}
