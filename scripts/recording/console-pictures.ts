import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type BrowserContext, chromium as browserType } from "playwright-core";
import { type CliFixture, openCliFixture } from "../../packages/cli/cli-fixture.ts";
import { Berth } from "../../packages/sdk/berth.ts";
import { chromium } from "../../tests/e2e/browser-fixture.ts";
import { type Screen, takePictures } from "./screen-pictures.ts";

/**
 * `npm run pictures -- <folder>` takes pictures of every screen of the web console, for people to look at: with data,
 * empty and failing, at three widths, in light and dark. `--only` takes the screens whose names contain that text.
 */
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { only: { type: "string", default: "" } },
});
const [folder = join(tmpdir(), "berth-pictures")] = positionals;
const machine = { image: "ubuntu:24.04", instance_type: "p5.48xlarge" } as const;
const small = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge" } as const;

const cli = await openCliFixture({ ADMIN_USERS: "developer", LOCAL_NODES: "p5.48xlarge=1,c7i.8xlarge=4" });
const browser = await browserType.launch({ executablePath: chromium ?? "", args: ["--no-sandbox"] });
const url = `http://berth.localhost:${new URL(cli.running.url).port}`;
try {
  const context = await logIn(cli);
  const take = (state: string, screens: readonly Screen[]) =>
    takePictures(context, url, { folder, state, screens: screens.filter(({ name }) => name.includes(values.only)) });
  await take("empty", listScreens());
  const { job, ended } = await fill(cli);
  await take("data", [...listScreens(), ...screensOf(job), ...dialogs(job)]);
  await take("data", [{ name: "job-ended", path: `/jobs/${ended}` }]);
  await take("failing", [...listScreens(), ...screensOf(job).filter(({ name }) => name !== "terminal")]);
  await take("data", [{ name: "login", path: "/login" }]);
  await context.clearCookies();
  await take("empty", [{ name: "login", path: "/login" }]);
  console.log(`The pictures are in ${folder}.`);
} finally {
  await browser.close();
  await cli.close();
}

async function logIn({ berth }: CliFixture): Promise<BrowserContext> {
  const context = await browser.newContext();
  const page = await context.newPage();
  const { code } = await berth.web.createCode();
  await page.goto(`${url}/login#code=${code}`);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("heading", { name: "Environments" }).waitFor();
  await page.close();
  return context;
}

function listScreens(): readonly Screen[] {
  return [
    { name: "environments", path: "/" },
    { name: "new", path: "/new" },
    { name: "disks", path: "/disks" },
    { name: "cluster", path: "/cluster" },
    { name: "account", path: "/account" },
    { name: "operation", path: "/admin" },
    { name: "users", path: "/admin/users" },
    { name: "audit", path: "/admin/audit" },
    { name: "deliveries", path: "/admin/deliveries" },
  ];
}

function screensOf(job: string): readonly Screen[] {
  return [
    { name: "job", path: `/jobs/${job}` },
    { name: "logs", path: `/jobs/${job}/logs` },
    { name: "terminal", path: `/jobs/${job}/terminal`, prepare: (page) => page.getByText("Connected").waitFor() },
    { name: "disk", path: "/disks/data" },
  ];
}

/** Dialogs, each opened by the first button of that name on its screen. */
function dialogs(job: string): readonly Screen[] {
  const opened = (name: string, path: string, button: string): Screen => ({
    name: `dialog-${name}`,
    path,
    prepare: (page) => page.getByRole("button", { name: button, exact: true }).first().click(),
  });
  return [
    opened("extend", `/jobs/${job}`, "Extend…"),
    opened("end", `/jobs/${job}`, "End…"),
    opened("share", `/jobs/${job}`, "Share…"),
    opened("new-disk", "/disks", "New disk…"),
    opened("delete-disk", "/disks/papers", "Delete…"),
    opened("drain", "/admin", "Drain…"),
    opened("palette", "/", "Find"),
  ];
}

/** Begins and ends environments, so that every screen has something to show. */
async function fill({ berth, running }: CliFixture): Promise<{ readonly job: string; readonly ended: string }> {
  const { API_URL = "", API_KEY = "" } = await running.env("--user", "second");
  const other = new Berth({ url: API_URL, key: API_KEY });
  await berth.disks.settle(await berth.disks.create({ disk_name: "papers", size_gb: 250 }));
  await berth.disks.settle(await berth.disks.create({ disk_name: "old-results", size_gb: 50 }));
  await berth.disks.settle(await berth.disks.delete("old-results"));
  const begin = async (client: Berth, wanted: object, until: "active" | "ended") => {
    const { job_id } = await client.jobs.submit({ ...machine, ...wanted });
    await client.jobs.wait(job_id, { until });
    return job_id;
  };
  const command = "for n in $(seq 40); do echo epoch $n of 40: loss 0.$((1000 - n)); done; sleep 3600";
  const train = { name: "train", gpu_count: 4, duration_hours: 6, disk_name: "data", jupyter_enabled: true, command };
  const job = await begin(berth, train, "active");
  await begin(other, { name: "other", gpu_count: 2, duration_hours: 2 }, "active");
  await begin(berth, { ...small, name: "prepare", command: "echo done" }, "ended");
  const fails = { name: "evaluate", command: "echo missing file >&2; exit 3", webhook_url: "http://127.0.0.1:9/hook" };
  const ended = await begin(berth, { ...small, ...fails }, "ended");
  await begin(berth, { ...small, name: "notebook-of-the-third-quarter-with-a-long-name" }, "active");
  await berth.jobs.submit({ ...machine, name: "sweep", gpu_count: 8, duration_hours: 3 });
  await other.jobs.submit({ ...machine, name: "waits-too", gpu_count: 8, duration_hours: 3 });
  return { job, ended };
}
