import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../../tests/e2e/processes.ts";
import { type CliFixture, openCliFixture } from "./cli-fixture.ts";
import { closeScreens, keys, openScreen, withoutVolatile } from "./screen-fixture.ts";

const longName = "sweep-of-learning-rates-with-a-long-name-42";
const script = 'for i in 1 2 3; do echo "epoch $i: loss 0.$i"; done; printf "step 45%%"; sleep 3600';
const escapeCode = "\u001B";
const colours = new RegExp(`${escapeCode}\\[[\\d;:]*m`);
/** Spans of days stay the same during the test. */
const days = ["--hours", "72"] as const;

let cli: CliFixture;
beforeAll(async () => {
  const nodes = "p5.48xlarge=2,c7i.8xlarge=4,p4d.24xlarge=1";
  cli = await openCliFixture({ LOCAL_NODES: nodes, ADMIN_USERS: "developer" });
  await cli.run("login");
  await cli.run("disks", "create", "papers", "--size", "20");
  await cli.run("up", "-t", "h100", "-g", "16", ...days, "--disk", "datasets", "trains");
  await cli.run("up", "-d", "-t", "h100", "-g", "8", ...days, longName);
  const variables = ["-e", "SEED=1", "-e", "MODE=fast"];
  await cli.run("up", "-t", "cpu", ...days, "--disk", "papers", ...variables, "prints", "--", script);
  await cli.run("up", "-t", "cpu", ...days, "fails", "--", "exit 3");
  await cli.run("wait", "fails", "--until", "ended");
  await cli.run("admin", "drain", "a100", "--yes");
  await eventually(reasonOfLongest, (reason) => reason.includes("its start is reserved"));
});
afterAll(() => {
  closeScreens();
  return cli.close();
});

async function reasonOfLongest(): Promise<string> {
  for await (const { status_reason } of cli.berth.jobs.list({ name: longName })) return status_reason ?? "";
  return "";
}

interface Shown {
  readonly words: readonly string[];
  /** Ctrl-C is pressed once the screen shows this text. Without it the command ends by itself. */
  readonly until?: RegExp;
}

const commands: readonly Shown[] = [
  { words: ["ls", "--status", "queued,active,failed"] },
  { words: ["avail"] },
  { words: ["disks"] },
  { words: ["show", "prints"] },
  { words: ["show", "sweep"] },
  { words: ["show", "fails"] },
  { words: ["logs", "-f", "prints"], until: /step 45%/ },
  { words: ["attach", "sweep"], until: /the\s+jobs\s+it\s+waits\s+for/ },
  { words: ["show", "nosuch"] },
  { words: ["up", "-t", "cpu", "--disk", "papers"] },
];
const submits: readonly Shown[] = [
  { words: ["up", "-t", "h100", "-g", "2", "waits"], until: /position\s+#2[\s\S]*by\s+then/ },
  { words: ["up", "-t", "cpu", ...days, "starts"] },
];

interface Terminal {
  readonly columns: number;
  readonly env?: Readonly<Record<string, string>>;
}

async function showScreen(terminal: Terminal, { words, until }: Shown) {
  const screen = openScreen(cli, terminal, ...words);
  if (until) {
    await screen.shows(until);
    screen.press(keys.interrupt);
  }
  const code = await screen.ended;
  const name = words.at(-1) ?? "";
  if (words[0] === "up") await cli.run("end", name);
  const page = `$ berth ${words.join(" ")}\n${withoutVolatile(screen.text())}\n[exit code ${code}]\n`;
  return { page, received: screen.received() };
}

async function showScreens(terminal: Terminal, shown: readonly Shown[]) {
  const pages: string[] = [];
  let received = "";
  for (const command of shown) {
    const seen = await showScreen(terminal, command);
    pages.push(seen.page);
    received += seen.received;
  }
  return { text: pages.join(`${"=".repeat(terminal.columns)}\n`), received };
}

test.each([60, 80, 120])("at %i columns tables, views, logs, errors and live views read well", async (columns) => {
  const { text } = await showScreens({ columns }, commands);
  const started = await showScreens({ columns }, submits);

  await expect(text).toMatchFileSnapshot(`screens/commands-${columns}.txt`);
  await expect(started.text).toMatchFileSnapshot(`screens/up-${columns}.txt`);
});

test("with NO_COLOR every screen reads the same, and neither commands nor questions send colours", async () => {
  const { text, received } = await showScreens({ columns: 80, env: { NO_COLOR: "1" } }, commands);

  await expect(text).toMatchFileSnapshot("screens/commands-80.txt");
  const wizard = openScreen(cli, { env: { NO_COLOR: "1" } }, "up");
  await wizard.shows("Type of machine");
  wizard.press(keys.interrupt);
  expect(await wizard.ended).toBe(130);
  expect(received + wizard.received()).not.toMatch(colours);
});

test.each([{ TERM: "dumb" }, { BERTH_ACCESSIBLE: "1" }])(
  "with %j no line is redrawn, and no escape sequence is sent",
  async (env) => {
    const { text, received } = await showScreens({ columns: 80, env }, commands);

    await expect(text).toMatchFileSnapshot("screens/commands-plain.txt");
    expect(received).not.toContain(escapeCode);
  },
);
