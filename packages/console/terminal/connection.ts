import type { Terminal } from "@xterm/xterm";
import type { JobTerminalTicket } from "../../sdk/jobs.ts";
import { untilVisible } from "../data/visible.ts";
import { Heartbeat } from "./heartbeat.ts";
import { InputQueue } from "./input-queue.ts";
import { type KeptTerminal, keepTerminal, takeTerminal } from "./kept-terminal.ts";
import { finalCodes, type ServerFrame } from "./protocol.ts";

interface ConnectionOptions {
  readonly jobId: string;
  /** Requests a ticket: for a new terminal, or for one to return to. */
  open(terminalId: string | undefined): Promise<JobTerminalTicket>;
  /** Shows the state of the connection. */
  say(text: string): void;
  /** Shows what the gateway announces: a warning, or that one does not hold any more. */
  announce(text: string): void;
  /** Reports whether asking again for a ticket is of no use. */
  isFinal(error: unknown): boolean;
}

/** A terminal lives this long without a viewer. */
const keptMs = 10 * 60_000;

/** Keeps a terminal connected: each new connection goes on at the byte where the last one ended. */
export function connectTerminal(terminal: Terminal, options: ConnectionOptions): void {
  const { jobId } = options;
  const connection = new Connection(terminal, options, takeTerminal(jobId));
  addEventListener("pagehide", () => {
    const { kept } = connection;
    if (kept) keepTerminal(jobId, kept);
  });
  // A page that the browser restores still has its terminal in memory.
  addEventListener("pageshow", () => void takeTerminal(jobId));
  terminal.onData((text) => connection.send(new TextEncoder().encode(text)));
  terminal.onBinary((text) => connection.send(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  terminal.onResize(() => connection.resize());
  void connection.connect();
}

class Connection {
  readonly #terminal: Terminal;
  readonly #options: ConnectionOptions;
  readonly #heartbeat: Heartbeat;
  #socket: WebSocket | undefined;
  #terminalId: string | undefined;
  /** How many bytes of the terminal's output were received, and how many xterm.js has drawn. */
  #received = 0;
  #drawn = 0;
  #acknowledged = 0;
  /** Each side sends at most this many bytes that the other did not acknowledge. It is 0 until the server's `opened`. */
  #window = 0;
  readonly #input = new InputQueue();
  /** The next shell replaces one that has ended. */
  #isReplacement = false;
  #failures = 0;
  #lostAt = 0;
  /** An earlier page has answered the queries in the output before this byte. */
  #answered: number;

  constructor(terminal: Terminal, options: ConnectionOptions, kept: KeptTerminal | undefined) {
    this.#terminal = terminal;
    this.#options = options;
    this.#heartbeat = new Heartbeat({
      sendPing: () => this.#sendFrame({ type: "ping" }),
      onLost: () => this.#abandon(),
    });
    this.#terminalId = kept?.id;
    this.#answered = kept?.drawn ?? 0;
  }

  /** The terminal that a later page can return to. */
  get kept(): KeptTerminal | undefined {
    return this.#terminalId === undefined ? undefined : { id: this.#terminalId, drawn: this.#drawn };
  }

  async connect(): Promise<void> {
    const { open, say, isFinal } = this.#options;
    say(this.#failures === 0 ? "Connecting …" : "The connection was lost. Connecting again …");
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
    this.#heartbeat.beat();
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      const { cols: columns, rows } = this.#terminal;
      const offset = this.#received > 0 ? { offset: this.#received } : {};
      socket.send(JSON.stringify({ type: "open", columns, rows, ...offset }));
    };
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      this.#heartbeat.beat();
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
      this.#input.openWindow(window);
      this.#failures = 0;
      // The user typed the waiting input for the shell that has ended.
      if (this.#isReplacement) this.#input.clear();
      this.#isReplacement = false;
      this.#options.say("Connected");
      this.#flush();
    }
    if (type === "ack") {
      this.#input.acknowledge(received);
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

  /** Sends input. While the output of an earlier page is drawn again, xterm.js answers old queries: drop that. */
  send(bytes: Uint8Array): void {
    if (this.#drawn < this.#answered) return;
    this.#input.add(bytes);
    this.#flush();
  }

  #flush(): void {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return;
    for (let part = this.#input.take(); part; part = this.#input.take()) socket.send(part);
  }

  resize(): void {
    const { cols: columns, rows } = this.#terminal;
    if (this.#window > 0) this.#sendFrame({ type: "resize", columns, rows });
  }

  #sendFrame(frame: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  /** Replaces a connection that does not answer. The gateway closes it later with 4409, which must not end the next one. */
  #abandon(): void {
    const socket = this.#socket;
    if (!socket) return;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
    this.#retry();
  }

  #closed(code: number): void {
    const reason = finalCodes[code];
    if (reason !== undefined) {
      this.#heartbeat.stop();
      this.#terminalId = undefined;
      this.#options.say(reason);
      return;
    }
    if (code === 4404) {
      this.#terminalId = undefined;
      this.#received = 0;
      this.#answered = 0;
      this.#isReplacement = true;
      this.#terminal.write("\r\n[the terminal has ended; this is a new one]\r\n");
    }
    this.#retry();
  }

  #retry(): void {
    this.#window = 0;
    this.#heartbeat.stop();
    if (this.#input.disconnect()) {
      this.#terminal.write("\r\n[the connection was lost, and what you typed last may be lost]\r\n");
    }
    this.#options.say("The connection was lost. Connecting again …");
    if (this.#failures === 0) this.#lostAt = performance.now();
    const delayMs = Math.min(500 * 2 ** this.#failures, 15_000);
    this.#failures += 1;
    setTimeout(() => void this.#connectAgain(), delayMs);
  }

  /** Keeps the terminal of a hidden page alive. Once it has ended, a new one can wait until the page is visible. */
  async #connectAgain(): Promise<void> {
    if (performance.now() - this.#lostAt > keptMs) await untilVisible();
    await this.connect();
  }
}
