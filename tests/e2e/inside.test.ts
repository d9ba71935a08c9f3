import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type Attempts,
  formatScript,
  type Got,
  gotBy,
  inside,
  outside,
  printGot,
  seenAtEnd,
  TOO_SLOW,
} from "#process/attempts-fixture.ts";
import { lacks } from "#process/fixture.ts";
import { findFreePort } from "#process/network/local-ports.ts";
import { isOver, jobClient, logIn } from "./job-client.ts";
import { eventually } from "./processes.ts";
import { openStackFixture, type StackFixture, type StackProcess } from "./stack-fixture.ts";
import { withoutProgram } from "./without-program.ts";

const machine = { instance_type: "c7i.8xlarge" };
const note = "what the other owner wrote";
const ways = [
  { network: "own", under: [] },
  { network: "shared", under: withoutProgram("slirp4netns") },
] as const;

let fixture: StackFixture;

beforeEach(() => {
  fixture = openStackFixture("berth-inside-");
});

afterEach(() => fixture.close());

describe.each(ways)("a job of a running stack, with its $network network", { retry: 0 }, ({ network, under }) => {
  const lacking = lacks(network);

  it("cannot reach the stack", async ({ skip }) => {
    if (lacking) skip(lacking);
    const metricsPort = await findFreePort();
    const stack = await fixture.start({ METRICS_PORT: String(metricsPort) }, { under });
    const env = await stack.env();
    const disk = await diskOfAnother(stack, env);
    const { stsUrl } = JSON.parse(readFileSync(join(fixture.home, "stack.json"), "utf8")) as { stsUrl: string };
    const ssh = `http://127.0.0.1:${readFileSync(join(fixture.home, "ssh-port"), "utf8")}`;
    const urls = { api: stack.url, sts: stsUrl, ssh, metrics: `http://127.0.0.1:${metricsPort}/metrics` };
    const attempts = { ...getFiles(fixture.home, disk), ...(network === "own" ? ports(urls) : answers(urls)) };

    const { got, isolation } = await tryInside(stack, env.API_KEY ?? "", attempts);
    printGot(`A job of a running stack, ${network} network`, got);

    expect(isolation).toBe(`bubblewrap, ${network} network`);
    const files = ["api-key.json", "identities.json", "records.db", "sealer.key", "ssh-host-key", "stack.json"];
    expect([...got.keys()]).toEqual(expect.arrayContaining(files.map((name) => `reads ${name}`)));
    expect(got.size).toBe(Object.keys(attempts).length);
    const wrong = [...got].filter(([, { isHeld, unmade, text }]) => unmade ?? (!isHeld || text.includes(note)));
    expect(wrong).toEqual([]);
  });
});

/** Returns attempts to read all files of a stack's home, and the disk of another user. */
function getFiles(home: string, disk: string): Attempts {
  const files = readdirSync(home, { withFileTypes: true }).filter((entry) => entry.isFile());
  return {
    ...Object.fromEntries(files.map(({ name }) => [`reads ${name}`, outside(`head -c 100 '${join(home, name)}'`)])),
    "lists the home": inside(`ls ${home} | grep -q key`, `ls ${home} | grep -q runs`),
    "reads a file by the same words as its own": inside(`cat ${home}/sealer.key`, "echo x >own && cat $PWD/own"),
    "reads a disk of another owner": outside(`cat ${disk}`),
    "lists the disks": outside(`ls ${home}/volumes | grep -q .`),
    "writes to the home": inside(`echo x >${home}/more`, "echo x >more"),
  };
}

interface Urls {
  readonly api: string;
  readonly sts: string;
  readonly ssh: string;
  readonly metrics: string;
}

/**
 * Returns attempts to reach the stack's ports from a separate network. curl ends with 7 if the connection is refused,
 * and with 28 after a timeout. The same command reaches a port of the job itself.
 */
function ports(urls: Urls): Attempts {
  const reached = (url: string) =>
    `curl -sS -m 15 ${url} >/dev/null; code=$?; [ $code != 28 ] || exit ${TOO_SLOW}; [ $code != 7 ]`;
  return Object.fromEntries(
    Object.entries(urls).flatMap(([subject, url]: [string, string]) => [
      [`reaches the port of ${subject}`, outside(reached(url))],
      [
        `reaches the port of ${subject} by what stands for the machine`,
        inside(reached(url.replace("127.0.0.1", "10.0.2.2")), 'curl -sS -m 15 "$OWN" | grep -q own'),
      ],
    ]),
  );
}

/** Returns attempts in the machine's network, which reach all ports. Only metrics answer without a key. */
function answers({ api, sts, metrics }: Urls): Attempts {
  const identity = "Action=GetCallerIdentity&Version=2011-06-15";
  return {
    "lists jobs without a key": inside(`curl -sSf ${api}/v1/jobs`, `curl -sSf ${api}/health`),
    "lists all jobs without a key": inside(`curl -sSf ${api}/v1/admin/jobs`, `curl -sSf ${api}/health`),
    "lists instances without a key": inside(`curl -sSf ${api}/api/instances`, `curl -sSf ${api}/health`),
    "reads metrics where users are served": inside(`curl -sSf ${api}/metrics`, `curl -sSf ${metrics} | grep -q berth_`),
    "is somebody to the STS": inside(`curl -sSf -d '${identity}' ${sts}`, `curl -sS ${sts} | grep -q ErrorResponse`),
  };
}

/** Returns the path of a file on the second user's disk. */
async function diskOfAnother(stack: StackProcess, env: Readonly<Record<string, string>>): Promise<string> {
  const { api_key: key } = await logIn(env, "BERTH_SECOND_");
  const command = `echo "${note}" >"$WORKSPACE/note"; exec sleep 3600`;
  await jobClient(stack.url, String(key)).submit({ ...machine, disk_name: "theirs", command });
  const volumes = join(fixture.home, "volumes");
  // A directory that begins with a dot is being created, and may be renamed while it is read.
  const find = () =>
    readdirSync(volumes, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
      .flatMap(({ name }) => readdirSync(join(volumes, name), { recursive: true }).map((path) => join(name, `${path}`)))
      .find((path) => path.endsWith("/note"));
  return join(volumes, (await eventually(find, (name) => name !== undefined)) ?? "");
}

interface Tried {
  readonly got: Map<string, Got>;
  readonly isolation: string | null;
}

async function tryInside(stack: StackProcess, key: string, attempts: Attempts): Promise<Tried> {
  const jobs = jobClient(stack.url, key);
  const command = `${listeningBy(join(fixture.home, "tools/node"))}\n${formatScript(attempts)}\nexec sleep 3600`;
  const id = await jobs.submit({ instance_type: "g4dn.2xlarge", command });
  const { isolation } = await jobs.until(id, ({ status }) => status !== "queued" && status !== "preparing");
  const headers = { authorization: `Bearer ${key}`, accept: "text/plain" };
  const readLog = async () => (await fetch(`${stack.url}/v1/jobs/${id}/logs`, { headers })).text();
  const seen = await seenAtEnd(async () => {
    const isRunning = !isOver(await jobs.get(id));
    return { output: await readLog(), isRunning };
  });
  return { got: gotBy(seen, attempts, {}), isolation };
}

/** Returns a command that listens on a port of the job itself. */
function listeningBy(node: string): string {
  const program = `require("node:http").createServer((_, response) => response.end("own")).listen(0, "127.0.0.1",
    function () { console.log(this.address().port); })`;
  return `${node} -e '${program}' >port & until [ -s port ]; do sleep 0.1; done; OWN=http://127.0.0.1:$(cat port)`;
}
