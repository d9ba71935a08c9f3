/** Command lines of small programs inside a run. A place is a port of the loopback or a path. */
export interface SocketPrograms {
  /** Sends a line, and prints the answer or the name of the error. */
  ask(place: string, line: string): string;
  /** Prints `up` once it listens. Answers each connection with the number of bytes that it received. */
  count(place: string): string;
  /** Prints `up` once it listens. Greets each connection with this text. */
  greet(place: string, text: string): string;
  /** Connects this often and resets each connection, then prints `turned away` once the next one is closed. */
  knock(port: number, times: number): string;
}

const up = '() => console.log("up")';

/** `node` is the path of Node as the run sees it. */
export function nodePrograms(node: string): SocketPrograms {
  const listen = (options: string, serve: string, place: string) =>
    `exec ${node} -e 'net.createServer(${options}, (s) => { ${serve} }).listen(${formatPlace(place)}, ${up})'`;
  return {
    ask: (place, line) =>
      `${node} -e 'const s = net.connect(${formatPlace(place)}); s.write("${line}\\n"); s.pipe(process.stdout); s.on("error", (e) => console.log(e.code))'`,
    count: (place) =>
      listen(
        "{ allowHalfOpen: true }",
        'let n = 0; s.on("data", (d) => { n += d.length; }); s.on("end", () => s.end(String(n)));',
        place,
      ),
    greet: (place, text) => listen("{}", `s.end("${text}");`, place),
    knock: (port, times) => `${node} -e 'let n = 0;
      const next = () => {
        const last = ++n > ${times};
        const socket = net.connect(${port}, "127.0.0.1", () => last || socket.resetAndDestroy());
        socket.on("error", () => {}).on("close", () => last ? console.log("turned away") : next());
      };
      next();'`,
  };
}

function formatPlace(place: string): string {
  return JSON.stringify(place.startsWith("/") ? { path: place } : { host: "127.0.0.1", port: Number(place) });
}

const pythonSockets = `import errno, socket, struct
def address(place):
    isPath = place.startswith("/")
    return socket.socket(socket.AF_UNIX if isPath else socket.AF_INET), place if isPath else ("127.0.0.1", int(place))
def received(one):
    while part := one.recv(65536):
        yield part
def serve(place, answer):
    server, where = address(place)
    server.bind(where)
    server.listen()
    print("up", flush=True)
    while True:
        with server.accept()[0] as one:
            one.sendall(answer(one))
`;

/** For images with Python. */
export const pythonPrograms: SocketPrograms = {
  ask: (place, line) =>
    python(`one, where = address("${place}")
try:
    one.connect(where)
    one.sendall(b"${line}\\n")
    print(b"".join(received(one)).decode(), end="")
except OSError as error:
    print(errno.errorcode[error.errno])`),
  count: (place) => python(`serve("${place}", lambda one: str(sum(map(len, received(one)))).encode())`),
  greet: (place, text) => python(`serve("${place}", lambda one: b"${text}")`),
  knock: (port, times) =>
    python(`for _ in range(${times}):
    one, where = address("${port}")
    one.connect(where)
    # A close without a grace period resets the connection (socket(7), SO_LINGER).
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()
one, where = address("${port}")
one.connect(where)
list(received(one))
print("turned away")`),
};

function python(program: string): string {
  return `exec python3 -c '${pythonSockets}${program}'`;
}
