import type { Terminal } from "@xterm/xterm";
import type { JobTerminalTicket } from "../../sdk/jobs.ts";

interface ConnectionOptions {
  /** Requests a ticket: for a new terminal, or for one to return to. */
  open(terminalId: string | undefined): Promise<JobTerminalTicket>;
  /** Shows the state of the connection. */
  say(text: string): void;
  /** Shows what the gateway announces: a warning, or that one does not hold any more. */
  announce(text: string): void;
  /** Reports whether asking again for a ticket is of no use. */
  isFinal(error: unknown): boolean;
}

interface ServerFrame {
  readonly type: string;
  readonly offset?: number;
  readonly window?: number;
  readonly received?: number;
  readonly exit_code?: number;
  readonly text?: string;
}

/** Close codes after which another connection is of no use (docs/apis/common.md#web-terminals). */
const finalCodes: Readonly<Record<number, string>> = {
  1000: "The shell has ended",
  4409: "This terminal is open in another window now",
  4410: "The environment has ended",
  4429: "The environment has as many terminals as it may have: end one",
  4501: "This environment has no terminals: use SSH",
};

/** Keeps a terminal connected: each new connection goes on at the byte where the last one ended. */
export function connectTerminal(terminal: Terminal, options: ConnectionOptions): void {
  const connection = new Connection(terminal, options);
  terminal.onData((text) => connection.send(new TextEncoder().encode(text)));
  terminal.onBinary((text) => connection.send(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  terminal.onResize(() => connection.resize());
  void connection.connect();
}

class Connection {
  readonly #terminal: Terminal;
  readonly #options: ConnectionOptions;
  #socket: WebSocket | undefined;
  #terminalId: string | undefined;
  /** How many bytes of the terminal's output were received, and how many xterm.js has drawn. */
  #received = 0;
  #drawn = 0;
  #acknowledged = 0;
  /** Input that the server did not acknowledge yet may be at most this many bytes. */
  #window = 0;
  #sent = 0;
  #taken = 0;
  #waiting: Uint8Array[] = [];
  #failures = 0;

  constructor(terminal: Terminal, options: ConnectionOptions) {
    this.#terminal = terminal;
    this.#options = options;
  }

  async connect(): Promise<void> {
    const { open, say, isFinal } = this.#options;
    say(this.#terminalId === undefined ? "Connecting …" : "The connection was lost. Connecting again …");
    try {
      const { url, ticket, terminal_id } = await open(this.#terminalId);
      this.#terminalId = terminal_id;
      this.#listen(new WebSocket(url, ["berth.terminal.v1", `berth.ticket.${ticket}`]));
    } catch (error) {
      if (isFinal(error)) return say(error instanceof Error ? error.message : "It cannot be opened");
      this.#retry();
    }
  }

  #listen(socket: WebSocket): void {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      const { cols: columns, rows } = this.#terminal;
      const offset = this.#received > 0 ? { offset: this.#received } : {};
      socket.send(JSON.stringify({ type: "open", columns, rows, ...offset }));
    };
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (typeof data === "string") return this.#hear(JSON.parse(data) as ServerFrame);
      this.#draw(new Uint8Array(data));
    };
    socket.onclose = ({ code }) => this.#closed(code);
  }

  #hear({ type, offset = 0, window = 0, received = 0, exit_code, text = "" }: ServerFrame): void {
    if (type === "opened") {
      if (this.#received > 0 && offset > this.#received) {
        this.#terminal.write(`\r\n[${offset - this.#received} bytes are lost]\r\n`);
      }
      this.#received = offset;
      this.#drawn = offset;
      this.#acknowledged = offset;
      this.#window = window;
      this.#sent = 0;
      this.#taken = 0;
      this.#failures = 0;
      this.#options.say("Connected");
      this.#flush();
    }
    if (type === "ack") {
      this.#taken = received;
      this.#flush();
    }
    if (type === "notice") this.#options.announce(text);
    if (type === "exit") this.#terminal.write(`\r\n[the shell has ended with exit code ${exit_code}]\r\n`);
  }

  #draw(bytes: Uint8Array): void {
    const socket = this.#socket;
    this.#received += bytes.length;
    this.#terminal.write(bytes, () => {
      if (socket !== this.#socket) return;
      this.#drawn += bytes.length;
      // A quarter of the window: often enough that the program never waits for a fast viewer.
      if (this.#drawn - this.#acknowledged < this.#window / 4 && this.#drawn < this.#received) return;
      this.#acknowledged = this.#drawn;
      this.#sendFrame({ type: "ack", offset: this.#drawn });
    });
  }

  send(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#flush();
  }

  #flush(): void {
    const socket = this.#socket;
    while (socket?.readyState === WebSocket.OPEN && this.#window > 0) {
      const [next] = this.#waiting;
      const room = this.#window - (this.#sent - this.#taken);
      if (!next || room <= 0) return;
      const part = next.slice(0, room);
      if (part.length === next.length) this.#waiting.shift();
      else this.#waiting[0] = next.slice(part.length);
      this.#sent += part.length;
      socket.send(part);
    }
  }

  resize(): void {
    const { cols: columns, rows } = this.#terminal;
    if (this.#window > 0) this.#sendFrame({ type: "resize", columns, rows });
  }

  #sendFrame(frame: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #closed(code: number): void {
    this.#window = 0;
    const reason = finalCodes[code];
    if (reason !== undefined) {
      this.#options.say(reason);
      return;
    }
    if (code === 4404) {
      this.#terminalId = undefined;
      this.#received = 0;
      this.#terminal.write("\r\n[the terminal has ended; this is a new one]\r\n");
    }
    this.#retry();
  }

  #retry(): void {
    this.#options.say("The connection was lost. Connecting again …");
    const delayMs = Math.min(500 * 2 ** this.#failures, 15_000);
    this.#failures += 1;
    setTimeout(() => void this.connect(), delayMs);
  }
}
