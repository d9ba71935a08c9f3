import { afterAll, beforeAll, expect, test } from "vitest";
import { openServer, type ServerFixture } from "../sdk/server-fixture.ts";
import { type CliFixture, openCliFixture } from "./cli-fixture.ts";
import { closeScreens, keys, openScreen } from "./screen-fixture.ts";

/** Clears the screen, sets title and clipboard, reverses the text direction, and starts a new line. */
const hostile =
  "\u001B[2J\u001B]0;owned\u0007\u001B]52;c;b3duZWQ=\u0007\u009B31m\u202Egnp.exe\u2066\r\n\u2028OWNED\u0000";

let cli: CliFixture;
let server: ServerFixture;
let key: string;
beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "p5.48xlarge=2,c7i.8xlarge=4" });
  key = (await cli.running.env()).API_KEY ?? "";
  await cli.berth.disks.create({ disk_name: "papers", size_gb: 20 });
  const image = "ubuntu:24.04";
  const job = { image, instance_type: "c7i.8xlarge", disk_name: "busy", name: "holder" } as const;
  await cli.berth.jobs.submit(job);
  server = await openServer(async ({ method, path, body, headers: { authorization = "" } }) => {
    const asMeant = body.replaceAll(JSON.stringify(hostile).slice(1, -1), "");
    const sent = { method, headers: { authorization }, ...(method === "POST" && { body: asMeant }) };
    const response = await fetch(cli.running.url + path, sent);
    return { status: response.status, body: painted(await response.json()) };
  });
});
afterAll(async () => {
  closeScreens();
  server.close();
  await cli.close();
});

/** Fields that decide what the command does next stay unchanged. */
const kept = /^(status|service|path|version|min_client_version|min_version|sha256|.*_(at|time)|job_id|reservation_id)$/;

/** Puts the hostile text behind every other text of an answer. */
function painted(value: unknown, name = ""): unknown {
  if (typeof value === "string") return kept.test(name) ? value : value + hostile;
  if (Array.isArray(value)) return value.map((item) => painted(item, name));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([field, inner]) => [field, painted(inner, field)]));
}

/** All that the wizard and the live view of `up` show of a server whose every text is hostile. */
async function walk(env: Readonly<Record<string, string>>, steps: readonly (readonly [RegExp, string])[]) {
  const screen = openScreen(cli, { columns: 120, env: { BERTH_URL: server.url, BERTH_API_KEY: key, ...env } }, "up");
  for (const [question, typed] of steps) {
    await screen.shows(question);
    screen.press(typed);
  }
  const code = await screen.ended;
  return { code, received: screen.received(), text: screen.text() };
}

const drawn: readonly (readonly [RegExp, string])[] = [
  [/◆ {2}Type of machine/, keys.enter],
  [/◆ {2}GPUs/, keys.enter],
  [/◆ {2}Hours/, `99999${keys.enter}`],
  [/A job may have/, `\u0015${keys.enter}`],
  [/◆ {2}Disk for your files/, keys.enter],
  [/◆ {2}Image/, keys.enter],
  [/◆ {2}Name(?! of)/, keys.enter],
  [/◆ {2}Start it\?/, "n"],
];
const plain: readonly (readonly [RegExp, string])[] = [
  [/Number, 1 to \d+ \[1\]:$/, "\r"],
  [/GPUs[\s\S]*Number, 1 to \d+ \[1\]:$/, "\r"],
  [/Hours \[1\]:$/, "\r"],
  [/Disk[\s\S]*Number, 1 to \d+ \[1\]:$/, "\r"],
  [/Image \[.*$/, "\r"],
  [/Name \[chosen.*$/, "\r"],
  [/Start it\? \[Y\/n\]/, "n\r"],
];

test.each([
  ["drawn", {}, drawn, "papers"],
  ["plain", { BERTH_ACCESSIBLE: "1" }, plain, "in use by holder"],
] as const)("the %s questions of up paint nothing that the server sends", async (_, env, steps, shown) => {
  const { code, received, text } = await walk(env, steps);

  expect(code).toBe(1);
  // The texts of the server were shown, so the test has tried them.
  expect(text).toContain(`${shown}\uFFFD[2J\uFFFD]0;owned`);
  expect(text).toContain("--disk 'papers\uFFFD");
  const controls = ["\u001B[2J", "\u001B]", "\u0007", "\u009B", "\u202E", "\u2066", "\u2028", "\u0000"];
  expect(controls.filter((control) => received.includes(control))).toEqual([]);
  expect(text.split("\n").filter((line) => /^\W*OWNED/.test(line))).toEqual([]);
});
