import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import {
  type ClientOptions,
  connectTerminal,
  type TerminalClient,
  type TicketReply,
} from "#gateway/terminal/terminal-client-fixture.ts";

/** Jobs with web terminals, whose tickets may lead to any replica of a gateway. */
export interface TerminalJobs {
  /** Returns the id of a new active job. */
  start(): Promise<string>;
  /** Returns the id of a new active job, which is about to get its only warning or just got it. */
  startExpiring(): Promise<string>;
  extend(job: string): Promise<unknown>;
  getTicket(job: string, terminal?: string): Promise<TicketReply>;
  end(job: string): Promise<unknown>;
}

/** Opens a new terminal of a job, or returns to one. */
export async function openTerminal(
  jobs: Pick<TerminalJobs, "getTicket">,
  job: string,
  { terminal_id, ...options }: ClientOptions & { readonly terminal_id?: string } = {},
) {
  const reply = await jobs.getTicket(job, terminal_id);
  const client = await connectTerminal(reply, options);
  if (options.opens !== false) await client.until(said("opened"));
  return { reply, client, id: reply.terminal_id };
}

export const shows = (text: string) => (client: TerminalClient) => client.output().includes(text);
export const said = (type: string) => (client: TerminalClient) =>
  client.messages.find((message) => message.type === type);

/** Ends the shell, so that the job may have another terminal. */
export async function leave(client: TerminalClient): Promise<void> {
  client.type("\x03\nexit\n");
  await client.closed;
}

/** Conformance tests for web terminals (docs/apis/common.md#web-terminals), in one job and a few more. */
export function webTerminalConformance(jobs: TerminalJobs): void {
  let job: string | undefined;
  const open = async (options: Parameters<typeof openTerminal>[2] & { readonly of?: string } = {}) => {
    const { of, ...more } = options;
    job ??= await jobs.start();
    return openTerminal(jobs, of ?? job, more);
  };

  it("is the job's login shell, with a size that changes, Ctrl-C and an exit code", async () => {
    const { client, id } = await open({ columns: 91, rows: 17 });
    const { ws } = client;

    client.type("stty size; echo $TERM $((40+2))\n");
    await client.until(shows("xterm-256color 42"));
    client.say({ type: "resize", columns: 132, rows: 43 });
    // The command says that it begins: a shell that is about to start a command may drop the interrupt.
    client.type(`stty size; PS1='<$?>'; sh -c "echo re''sized; exec sleep 600"\n`);
    await client.until(shows("resized"));
    client.type("\x03");
    // A shell may discard what was typed before its prompt.
    await client.until(shows("<130>"));
    client.type("exit 7\n");
    const end = await client.closed;

    expect(client.messages[0]).toEqual({ type: "opened", terminal_id: id, offset: 0, window: 131_072 });
    expect(ws.protocol).toBe("berth.terminal.v1");
    for (const text of ["17 91", "43 132"]) expect(client.output()).toContain(text);
    expect(client.messages.at(-1)).toEqual({ type: "exit", exit_code: 7 });
    expect(end).toEqual([1000, "The shell has ended"]);
  });

  it("goes on without its client, who returns in the middle of output without loss or repetition", async () => {
    // A client that acknowledges nothing gets one window at most. So each of two leaves in the middle.
    const { id, client: first } = await open({ acks: false });
    first.type("stty -echo; for n in $(seq 1 20000); do echo line $n; done; echo do''ne\n");
    await first.until(({ offset }) => offset() === 131_072);
    first.ws.terminate();
    const { client: second } = await open({ terminal_id: id, offset: first.offset(), acks: false });
    await second.until(({ offset }) => offset() >= 180_000);
    second.ws.terminate();
    const { client: third } = await open({ terminal_id: id, offset: second.offset() });
    const heard = () => [first, second, third].map(({ output }) => output()).join("");
    await third.until(() => heard().includes("done\r\n"));

    expect(second.messages[0]).toMatchObject({ type: "opened", offset: 131_072, terminal_id: id });
    expect(third.messages[0]).toMatchObject({ type: "opened", offset: second.offset(), terminal_id: id });
    const lines = Array.from({ length: 20_000 }, (_, n) => `line ${n + 1}\r\n`).join("");
    expect(heard().slice(heard().indexOf("line 1\r\n"), heard().indexOf("done\r\n"))).toBe(lines);
    await leave(third);
  });

  it("shows a new client the last 256 KiB, and tells how much is lost", async () => {
    const [first, other] = [await open(), await open()];
    first.client.type("stty -echo; PS1=; echo be''gun; sleep 0.5; seq 1 100000; echo do''ne; touch ~/printed\n");
    await first.client.until(shows("begun"));
    const had = first.client.offset();
    first.client.ws.terminate();
    other.client.type("until [ -e ~/printed ]; do sleep 0.05; done; exit\n");
    await other.client.closed;

    const { client } = await open({ terminal_id: first.id, offset: had });
    await client.until(shows("done"));

    expect(Number(client.messages[0]?.offset)).toBeGreaterThan(had + 300_000);
    expect(client.output().length).toBeGreaterThan(262_000);
    expect(client.output()).toContain("99999\r\n100000\r\ndone\r\n");
    await leave(client);
  });

  it("gives a client that never acknowledges one window, and the program waits", async () => {
    const { client, id } = await open({ acks: false });
    client.type("yes 0123456789\n");
    await client.until(({ offset }) => offset() >= 131_072);
    client.say({ type: "ping" });
    await client.until(said("pong"));
    const held = client.offset();
    client.ackAll();
    await client.until(({ offset }) => offset() > held);

    expect(held).toBe(131_072);
    client.ws.terminate();
    const { client: last } = await open({ terminal_id: id });
    await leave(last);
  });

  it("passes a paste of 300 kB in windows, and acknowledges what the terminal took", async () => {
    const { client } = await open();
    const command = "stty -echo raw; echo re''ady; head -c 300000 | md5sum; exit\n";
    const received = () => Number(client.messages.findLast(({ type }) => type === "ack")?.received ?? 0);
    client.type(command);
    await client.until(shows("ready"));
    for (let sent = 0; sent < 300_000; sent += 60_000) {
      client.type(Buffer.alloc(60_000, "x"));
      await client.until(() => received() >= command.length + sent);
    }
    await client.closed;

    expect(client.output()).toContain(createHash("md5").update("x".repeat(300_000)).digest("hex"));
    expect(received()).toBe(command.length + 300_000);
  });

  it("gives its place to a second client", async () => {
    const first = await open();
    const second = await open({ terminal_id: first.id });

    expect(await first.client.closed).toEqual([4409, "Another client is connected now"]);
    await leave(second.client);
  });

  it("is open at most 8 times in a job", async () => {
    const of = await jobs.start();
    const opened = [];
    for (let n = 0; n < 8; n++) opened.push(await open({ of }));

    const client = await connectTerminal(await jobs.getTicket(of));

    expect(await client.closed).toEqual([4429, "Too many terminals"]);
    await jobs.end(of);
    const codes = await Promise.all(opened.map(async ({ client }) => (await client.closed)[0]));
    for (const code of codes) expect([4410, 1000]).toContain(code);
  });

  it("shows the warning, news and the reason of the end, none of them in the output", async () => {
    const of = await jobs.startExpiring();
    const { client, id } = await open({ of });
    const hears = (kind: string, text: string) =>
      client.until(({ messages }) => messages.some((message) => message.kind === kind && has(message, text)));
    await hears("warning", "No disk: files in $WORKSPACE and the home are lost when the environment ends");
    await hears("warning", "Expires in ");
    await jobs.extend(of);
    await hears("news", "Extended: expires at ");
    client.ws.terminate();
    const { client: next } = await open({ of, terminal_id: id });
    await jobs.end(of);
    await next.closed;

    const notices = (from: TerminalClient) => from.messages.filter(({ type }) => type === "notice");
    expect(notices(client)).toHaveLength(3);
    expect(notices(next)).toEqual([
      { type: "notice", kind: "end", text: "This environment was cancelled: Cancelled by its owner" },
    ]);
    expect(client.output() + next.output()).not.toContain("Expires in ");
  });
}

function has({ text }: Readonly<Record<string, unknown>>, part: string): boolean {
  return String(text).includes(part);
}
