import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { ask } from "#gateway/ingress/ingress-fixture.ts";
import {
  type ClientOptions,
  connectTerminal,
  type TerminalClient,
  type TicketReply,
} from "#gateway/terminal/terminal-client-fixture.ts";
import { eventually } from "#process/fixture.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import { shellEnvironment } from "./shell-environment.ts";
import { type Stack, startStack } from "./stack.ts";

const log = recordingLog();
let home: string;
let stack: Stack;
let key: string;
let job: string;

beforeAll(async () => {
  home = mkdtempSync("/var/tmp/berth-terminal-");
  stack = await startStack({ environment: { BERTH_HOME: home, PORT: "0", LOCAL_NODES: "c7i.8xlarge=4" }, log });
  key = /API_KEY='([^']+)'/.exec(await shellEnvironment({ home, fresh: false }))?.[1] ?? "";
  job = await startJob();
});
afterAll(async () => {
  await stack.stop();
  rmSync(home, { recursive: true });
});

// biome-ignore lint/suspicious/noExplicitAny: whatever the wire says is compared, not relied upon
async function api(method: string, path: string, body?: unknown, headers: object = {}): Promise<any> {
  const sent = { Authorization: `Bearer ${key}`, ...headers };
  const response = await fetch(`${stack.url}${path}`, { method, headers: sent, body: JSON.stringify(body) ?? null });
  return response.json();
}

async function startJob(): Promise<string> {
  const { job_id } = await api("POST", "/v1/jobs/submit", { image: "ubuntu", instance_type: "c7i.8xlarge" });
  await eventually(
    () => api("GET", `/v1/jobs/${job_id}`),
    ({ status }) => status === "active",
  );
  return job_id;
}

const getTicket = (id = job, body: object = {}, headers: object = {}): Promise<TicketReply> =>
  api("POST", `/v1/jobs/${id}/terminal`, body, headers);

/** Opens a new terminal of the job, or returns to one. */
async function open(options: ClientOptions & { readonly terminal_id?: string; readonly of?: string } = {}) {
  const { terminal_id, of = job, ...more } = options;
  const reply = await getTicket(of, { terminal_id });
  const client = await connectTerminal(reply, more);
  if (more.opens !== false) await client.until(said("opened"));
  return { reply, client, id: reply.terminal_id };
}

const shows = (text: string) => (client: TerminalClient) => client.output().includes(text);
const said = (type: string) => (client: TerminalClient) => client.messages.find((message) => message.type === type);

/** Ends the shell, so that the job may have another terminal. */
async function leave(client: TerminalClient): Promise<void> {
  client.type("\x03\nexit\n");
  await client.closed;
}

describe("a web terminal of a sandbox", () => {
  it("is the job's login shell, with a size that changes, Ctrl-C and an exit code", async () => {
    const { client, id } = await open({ columns: 91, rows: 17 });
    const { ws } = client;

    client.type("stty size; echo $TERM $((40+2))\n");
    await client.until(shows("xterm-256color 42"));
    client.say({ type: "resize", columns: 132, rows: 43 });
    client.type("stty size; echo re''sized; sleep 600\n");
    await client.until(shows("resized"));
    client.type("\x03echo inter''rupted; exit 7\n");
    const end = await client.closed;

    expect(client.messages[0]).toEqual({ type: "opened", terminal_id: id, offset: 0, window: 131_072 });
    expect(ws.protocol).toBe("berth.terminal.v1");
    for (const text of ["17 91", "43 132", "interrupted"]) expect(client.output()).toContain(text);
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
    const of = await startJob();
    const opened = [];
    for (let n = 0; n < 8; n++) opened.push(await open({ of }));

    const client = await connectTerminal(await getTicket(of));

    expect(await client.closed).toEqual([4429, "Too many terminals"]);
    await api("POST", `/v1/jobs/${of}/cancel`);
    const codes = await Promise.all(opened.map(async ({ client }) => (await client.closed)[0]));
    for (const code of codes) expect([4410, 1000]).toContain(code);
  });
});

describe("the connection of a web terminal", () => {
  it("is opened once by a ticket, at once or later", async () => {
    const reply = await getTicket();
    const clients = await Promise.all(Array.from({ length: 5 }, () => connectTerminal(reply)));

    const ends = await Promise.all(
      clients.map((client) => Promise.race([client.closed, client.until(said("opened")).then(() => "opened")])),
    );
    const late = await connectTerminal(reply);

    const refused = [4401, "The ticket or its key is not valid"];
    expect(ends.filter((end) => end === "opened")).toHaveLength(1);
    expect(ends.filter((end) => end !== "opened")).toEqual(Array(4).fill(refused));
    expect(await late.closed).toEqual(refused);
    const opened = clients[ends.indexOf("opened")];
    if (opened) await leave(opened);
  });

  it.each([
    ["a page that did not ask for it", {}, "https://evil.example"],
    ["a program, if a page asked for it", { Origin: "https://berth.example" }, undefined],
  ])("is not opened by %s", async (_, headers, origin) => {
    const client = await connectTerminal(await getTicket(job, {}, headers), origin === undefined ? {} : { origin });

    expect((await client.closed)[0]).toBe(4401);
  });

  it("is opened by the page that asked for it", async () => {
    const origin = "https://berth.example";
    const client = await connectTerminal(await getTicket(job, {}, { Origin: origin }), { origin });

    await client.until(said("opened"));
    await leave(client);
  });

  it("is not opened at another host, nor for a terminal of another job or none", async () => {
    const [elsewhere, unknown] = [await getTicket(), await getTicket(job, { terminal_id: "0".repeat(32) })];
    const url = elsewhere.url.replace(job, "another");
    const codes = [await connectTerminal({ ...elsewhere, url }), await connectTerminal(unknown)];

    expect(await Promise.all(codes.map(async ({ closed }) => (await closed)[0]))).toEqual([4401, 4404]);
  });

  it("needs both subprotocols and an upgrade", async () => {
    const { url, ticket } = await getTicket();
    const { host, port, pathname: path } = new URL(url);
    const plain = await ask(Number(port), host, { path });
    const refusal = async (...protocols: string[]) => {
      const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, { headers: { host } });
      ws.on("error", () => undefined);
      const [, answer] = await once(ws, "unexpected-response");
      return answer.statusCode;
    };

    expect(plain.status).toBe(426);
    expect([await refusal("berth.terminal.v1"), await refusal(`berth.ticket.${ticket}`), await refusal()]).toEqual([
      400, 400, 400,
    ]);
  });

  it.each([
    ["a text that is no JSON", "{", 4400],
    ["an unknown type", '{"type":"exec"}', 4400],
    ["a size of no terminal", '{"type":"resize","columns":0,"rows":24}', 4400],
    ["a second open", '{"type":"open","columns":80,"rows":24}', 4400],
    ["an acknowledgement of what was not sent", '{"type":"ack","offset":9007199254740991}', 4400],
    ["a long text", JSON.stringify({ type: "ping", pad: "x".repeat(2_000) }), 4400],
    ["too large a frame", Buffer.alloc(131_073), 1009],
  ])("is closed by %s", async (_, frame, code) => {
    const { client } = await open();
    client.ws.send(frame);

    expect((await client.closed)[0]).toBe(code);
    const { client: again } = await open({ terminal_id: String(client.messages[0]?.terminal_id) });
    await leave(again);
  });

  it("is closed by input before it is open", async () => {
    const { client } = await open({ opens: false });
    client.type("ls\n");

    expect((await client.closed)[0]).toBe(4400);
  });

  it("is closed within 10 s of the end of its job", async () => {
    const of = await startJob();
    const { client } = await open({ of });
    const startedAt = performance.now();
    await api("POST", `/v1/jobs/${of}/cancel`);

    expect([4410, 1000]).toContain((await client.closed)[0]);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it("is closed within 10 s of the end of its key, and no log has its ticket", async () => {
    const { reply, client } = await open();
    await client.until(said("opened"));
    const startedAt = performance.now();
    await api("DELETE", `/v1/keys/${key.slice(0, 8)}`);

    expect(await client.closed).toEqual([4401, "The ticket or its key is not valid"]);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(JSON.stringify(log.lines)).not.toContain(reply.ticket);
  });
});
