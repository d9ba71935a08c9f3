import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { ask } from "#gateway/ingress/ingress-fixture.ts";
import { connectTerminal, type TicketReply } from "#gateway/terminal/terminal-client-fixture.ts";
import { eventually } from "#process/fixture.ts";
import { leave, openTerminal, said, webTerminalConformance } from "#tests/conformance/web-terminal.ts";
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

async function startJob(more: object = {}): Promise<string> {
  const { job_id } = await api("POST", "/v1/jobs/submit", { image: "ubuntu", instance_type: "c7i.8xlarge", ...more });
  await eventually(
    () => api("GET", `/v1/jobs/${job_id}`),
    ({ status }) => status === "active",
  );
  return job_id;
}

const getTicket = (id = job, body: object = {}, headers: object = {}): Promise<TicketReply> =>
  api("POST", `/v1/jobs/${id}/terminal`, body, headers);

/** Opens a new terminal of the job, or returns to one. */
const open = ({ of = job, ...options }: Parameters<typeof openTerminal>[2] & { readonly of?: string } = {}) =>
  openTerminal({ getTicket: (id, terminal_id) => getTicket(id, { terminal_id }) }, of, options);

describe("a web terminal of a sandbox", () => {
  webTerminalConformance({
    start: () => startJob(),
    // The warning comes 15 minutes before the end, and 6 s after the start.
    startExpiring: () => startJob({ duration_hours: (15 * 60 + 6) / 3_600 }),
    extend: (id) => api("POST", `/v1/jobs/${id}/extend`, { extension_hours: 1 }),
    getTicket: (id, terminal_id) => getTicket(id, { terminal_id }),
    end: (id) => api("POST", `/v1/jobs/${id}/cancel`),
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
