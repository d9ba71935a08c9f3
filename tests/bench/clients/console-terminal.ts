import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Page, WebSocket } from "playwright-core";
import { median, type Row } from "../measure.ts";
import { type LocalStack, until } from "../server/local-stack.ts";

const lastNumber = 2_400_000;
const keys = 100;

/** 20 MB through the terminal of a browser, and the echo of a key beside `ssh -tt`. */
export async function terminalRows(stack: LocalStack, page: Page, url: string): Promise<Row[]> {
  const received: Buffer[] = [];
  page.on("websocket", (socket: WebSocket) => {
    socket.on("framereceived", ({ payload }) => void (typeof payload !== "string" && received.push(payload)));
  });
  await page.addInitScript({ content: watchKeys });
  await page.goto(url);
  await page.getByText("Connected").waitFor();
  await page.locator(".xterm-rows").getByText("$").first().waitFor();
  return [
    ...(await sendNumbers(page, received)),
    ...(await echoRows(stack, page, new URL(url).pathname.split("/")[2] ?? "")),
  ];
}

async function sendNumbers(page: Page, received: Buffer[]): Promise<Row[]> {
  received.length = 0;
  const begun = performance.now();
  await page.keyboard.type(`echo be''gins; seq ${lastNumber}; echo e''nds\n`);
  await page.locator(".xterm-rows").getByText("ends", { exact: true }).first().waitFor({ timeout: 300_000 });
  const seconds = (performance.now() - begun) / 1000;
  const text = Buffer.concat(received).toString("latin1");
  const sent = text.slice(text.indexOf("begins\r\n") + 8, text.indexOf("ends\r\n"));
  const wanted = Array.from({ length: lastNumber }, (_, n) => `${n + 1}\r\n`).join("");
  const hash = (all: string) => createHash("sha256").update(all).digest("hex");
  const lost = hash(sent) === hash(wanted) ? 0 : Math.max(1, wanted.length - sent.length);
  const note = `${(wanted.length / 1e6).toFixed(1)} MB in ${seconds.toFixed(1)} s, drawn to the end; SHA-256 compared`;
  return [{ name: "console: bytes that the terminal lost", value: lost, unit: "", limit: 0, note }];
}

interface Watched {
  readonly echoMs: number[];
  readonly drawnMs: number[];
}

/** Runs in the page before its scripts: notes when a key was pressed, when its echo arrived, and when it was drawn. */
const watchKeys = `
globalThis.watched = { pressedAt: 0, isHeard: true, echoMs: [], drawnMs: [] };
addEventListener("keydown", () => Object.assign(watched, { pressedAt: performance.now(), isHeard: false }), true);
globalThis.WebSocket = class extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols);
    this.addEventListener("message", ({ data }) => {
      if (typeof data === "string" || watched.isHeard) return;
      watched.isHeard = true;
      watched.echoMs.push(performance.now() - watched.pressedAt);
    });
  }
};
new MutationObserver((changes) => {
  const isDrawn = changes.some(({ target }) => target instanceof Element && target.closest(".xterm-rows"));
  if (isDrawn && watched.drawnMs.length < watched.echoMs.length) watched.drawnMs.push(performance.now() - watched.pressedAt);
}).observe(document, { subtree: true, childList: true, characterData: true });
`;

async function echoRows(stack: LocalStack, page: Page, id: string): Promise<Row[]> {
  await page.keyboard.type("clear; cat\n");
  await page.waitForTimeout(1_000);
  await page.evaluate("watched.echoMs.length = watched.drawnMs.length = 0");
  for (let n = 1; n <= keys; n++) {
    await page.keyboard.press("x");
    await until(async () => (await page.evaluate<number>("watched.drawnMs.length")) >= n || undefined);
  }
  const { echoMs, drawnMs } = await page.evaluate<Watched>("watched");
  await page.keyboard.press("Control+c");
  const paceMs = median(drawnMs);
  const ssh = await sshEchoes(stack, id, paceMs);
  const pace = `${keys} keys, one in ${paceMs.toFixed(0)} ms`;
  const note = `ssh -tt ${p90(ssh).toFixed(1)} ms, console ${p90(echoMs).toFixed(1)} ms; ${pace}`;
  return [
    { name: "console: echo p90 / ssh -tt", value: p90(echoMs) / p90(ssh), unit: "×", limit: 3, note },
    {
      name: "console: echo drawn p90",
      value: p90(drawnMs),
      unit: "ms",
      note: "with the wait for the next frame of the browser",
    },
  ];
}

/** Types at the pace of the browser's keys, because every process on the way answers later after an idle time. */
async function sshEchoes(stack: LocalStack, id: string, paceMs: number): Promise<number[]> {
  const directory = mkdtempSync(join(tmpdir(), "berth-bench-console-"));
  const key = join(directory, "key");
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
  await stack.call("POST", `/v1/jobs/${id}/users`, { public_key: readFileSync(`${key}.pub`, "utf8").trim() });
  const { port, user } = await until(async () => {
    const job = await stack.call<{ ssh_command: string; actions: { status: string }[] }>("GET", `/v1/jobs/${id}`);
    const [, found, name] = /^ssh -p (\d+) (\S+)@/.exec(job.ssh_command) ?? [];
    return job.actions.at(-1)?.status === "done" && found && name ? { port: found, user: name } : undefined;
  });
  const settings = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"];
  const words = ["-tt", "-F", "/dev/null", "-i", key, "-p", port, ...settings.flatMap((each) => ["-o", each])];
  const child = spawn("ssh", [...words, `${user}@127.0.0.1`, "echo ready; exec cat"], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const echoes: number[] = [];
  try {
    await once(child.stdout, "data");
    for (let n = 0; n < keys; n++) {
      await sleep(paceMs);
      const begun = performance.now();
      child.stdin.write("x");
      await once(child.stdout, "data");
      echoes.push(performance.now() - begun);
    }
  } finally {
    child.kill();
    rmSync(directory, { recursive: true });
  }
  return echoes;
}

function p90(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.ceil(values.length * 0.9) - 1] ?? Number.NaN;
}
