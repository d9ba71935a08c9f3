import { join } from "node:path";

/** Everything that the commands of one condition use: a home, an active job, and names. */
export interface Room {
  readonly name: string;
  /** Address of the stack. */
  readonly url: string;
  /** An active job. */
  readonly lab: string;
  /** The home directory of the commands, which holds `data/file` and an empty directory `none`. */
  readonly home: string;
  /** Prefix of the room's own key. */
  readonly ownKey: string;
  /** A free port of this machine. */
  readonly port: number;
  /** A machine without jobs. */
  readonly node: string;
  /** `BERTH_HOME` of the commands. */
  readonly stackHome: string;
}

/** How one command of the command line behaves on a running stack. */
export interface CommandCase {
  /** The words behind those of the command. */
  readonly words?: (room: Room) => readonly string[];
  /** Exit code on a running stack, 0 by default. */
  readonly code?: number;
  /** All that standard output holds in a pipe. */
  readonly out: RegExp;
  /** The command is interrupted once it has printed this text. */
  readonly until?: string;
  readonly env?: (room: Room) => Readonly<Record<string, string>>;
  /** Exit codes without a key, with an expired key, and while the stack is down. By default 4, 4 and 7. */
  readonly failing?: readonly [number, number, number] | "never";
  /** Whether standard output holds a report even if the command fails. */
  readonly isReport?: true;
  /** The words without which a pipe gets no answer to the question of this command. */
  readonly answeredBy?: readonly string[];
}

const nothing = /^$/;
const table = (head: string) => new RegExp(`^${head} .*\\n`);
const named = ({ name }: Room) => [`made-${name}`];
const ofLab = ({ lab }: Room) => [lab];
const disk = ({ name }: Room) => [`disk-${name}`];
const admission = /^Paused +\w+\nDrained +\w+\n$/;
const job = /^Job +\S+ \(\w{8}\)\nState +active /;
/** The code of a failure before the command in the job begins. */
const ownFailures = [255, 255, 255] as const;
const yes = ["--yes"] as const;
const noStack = (room: Room) => ({ BERTH_HOME: join(room.home, "none") });
const tokenOut = /^http:\/\/\S+token=\S+\n$/;

type Lane = Readonly<Record<string, CommandCase>>;

/** A command of a lane uses what earlier commands of the lane created. */
const diskLane: Lane = {
  "disks create": { words: disk, out: /^Made disk disk-\w+\.\n$/ },
  up: {
    words: (room) => ["--disk", `disk-${room.name}`, ...named(room), "--", "sleep 3600"],
    out: job,
    answeredBy: ["--type", "cpu"],
  },
  attach: { words: named, out: job },
  wait: { words: named, out: nothing },
  ls: { out: table("ID") },
  end: { words: named, out: /^Ended made-\w+ \(\w{8}\)\.\n$/ },
  "disks snapshot": { words: disk, out: /^Made snapshot snap-\w+ of disk disk-\w+\.\n$/ },
  "disks snapshots": { words: disk, out: table("SNAPSHOT") },
  "disks ls-files": { words: disk, out: /^/ },
  "disks restore": { words: ({ name }) => [`disk-${name}`, `copy-${name}`], out: /^Disk copy-\w+ will hold [^\n]+\n$/ },
  "disks rename": { words: ({ name }) => [`copy-${name}`, `named-${name}`], out: /^[^\n]+\n$/ },
  "disks rm": {
    words: ({ name }) => [`named-${name}`],
    out: /^Deleted disk named-\w+\. [^\n]+\n$/,
    answeredBy: yes,
  },
  "disks undelete": { words: ({ name }) => [`named-${name}`], out: /^Disk named-\w+ is back\.\n$/ },
  "disks ls": { out: table("NAME") },
};

const labLane: Lane = {
  show: { words: ofLab, out: job },
  logs: { words: ofLab, out: /^in the lab\n$/ },
  ssh: { words: (room) => [room.lab, "--", "echo inside"], out: /^inside\n$/, failing: ownFailures },
  cp: { words: (room) => [join(room.home, "data/file"), `${room.lab}:copied`], out: nothing },
  rsync: { words: (room) => ["-a", join(room.home, "data/"), `${room.lab}:synced/`], out: nothing },
  "ssh-config on": { out: /^(berth-\S+\n)+$/ },
  code: { words: (room) => ["--print", room.lab], out: /^vscode:\/\/\S+\n$/, failing: [2, 2, 2] },
  cursor: { words: (room) => ["--print", room.lab], out: /^cursor:\/\/\S+\n$/, failing: [2, 2, 2] },
  "ssh-config off": { out: nothing, failing: "never" },
  forward: { words: ({ lab, port }) => [lab, `${port}:8000`], out: nothing, until: "leads to port 8000" },
  extend: { words: (room) => [room.lab, "1h"], out: /^lab-\w+ \(\w{8}\) has 2 h and ends at \S+\.\n$/ },
  share: { words: (room) => [room.lab, "octocat"], out: /^octocat gets into lab-\w+ \(\w{8}\) with: ssh [^\n]+\n$/ },
  "jupyter on": { words: ofLab, out: tokenOut },
  "jupyter url": { words: ofLab, out: tokenOut },
  "jupyter open": { words: ofLab, out: tokenOut },
  "jupyter off": { words: ofLab, out: /^lab-\w+ \(\w{8}\) has no Jupyter any more\.\n$/ },
};

const ownLane: Lane = {
  me: { out: /^Deployment +http:\S+\nUser +developer / },
  env: { out: /^export API_URL='?http:\S+\nexport API_KEY='?\S+\n$/, failing: [4, 0, 0] },
  web: { words: () => ["--no-open"], out: /^http:\/\/berth\.localhost:\d+\/login#code=[\w-]{43}\n$/ },
  avail: { out: table("TYPE") },
  run: {
    words: ({ name, home }) => ["--type", "cpu", "--dir", join(home, "data"), `run-${name}`, "--", "cat file; exit 9"],
    code: 9,
    out: /^content\n$/,
    failing: ownFailures,
  },
  "keys ls": { out: table("PREFIX") },
  "admin jobs": { out: table("USER") },
  // Tested with a job in admin-commands.test.ts.
  "admin end": { words: () => ["no-such-job"], code: 3, out: nothing, answeredBy: yes },
  "admin pools": { out: table("TYPE") },
  "admin users": { out: table("USER") },
  "admin deliveries": { out: /^($|USER )/ },
  "admin drain": { words: () => ["t4"], out: admission, answeredBy: yes },
  "admin undrain": { words: () => ["t4"], out: admission },
  "admin pause": { out: admission, answeredBy: yes },
  "admin resume": { out: admission },
  "admin orphans": { out: /^($|KIND )/ },
  "admin audit": { out: table("TIME") },
  "admin user disable": { words: () => ["second"], out: /^second is disabled\.\n$/, answeredBy: yes },
  "admin user enable": { words: () => ["second"], out: /^second is enabled\.\n$/ },
  "admin node ls": { out: table("NODE") },
  "admin node gone": { words: ({ node }) => [node], out: /^\S+ is gone\.\n$/, answeredBy: yes },
  "admin node back": { words: ({ node }) => [node], out: /^\S+ is \w+\.\n$/ },
  api: { words: () => ["/v1/me"], out: /^\{.*\}\n$/ },
  doctor: { out: /^ok +Node +v/, failing: [1, 1, 1], isReport: true },
  "stack start": { out: /^The stack runs already at http:\S+\.\n$/, failing: "never" },
  "stack status": { out: /^Address +http:/, failing: [0, 0, 7], isReport: true },
  "stack stop": { env: noStack, out: nothing, failing: "never" },
  "stack logs": { env: noStack, code: 3, out: nothing, failing: [3, 3, 3] },
  completion: { words: () => ["bash"], out: /^_berth\(\) \{/, failing: "never" },
  version: { out: /^berth \d+\.\d+\.\d+\n$/, failing: "never" },
  help: { words: () => ["exit-codes"], out: /^exit code +meaning\n/, failing: "never" },
};

/** Lanes that run side by side. */
export const lanes: readonly Lane[] = [diskLane, labLane, ownLane];

/** The commands after all others, because they end the key of a room. */
export const lastLane: Lane = {
  "keys revoke": { words: ({ ownKey }) => [ownKey], out: /^Revoked [\w-]{8}\.\n$/ },
  login: {
    words: ({ url }) => [url],
    env: ({ home }) => ({ XDG_CONFIG_HOME: join(home, "own") }),
    out: /^Logged in to http:\S+ as developer\. The key lives for [^\n]+\n$/,
    failing: [0, 0, 7],
  },
  logout: {
    env: ({ home }) => ({ XDG_CONFIG_HOME: join(home, "own") }),
    out: /^Logged out of http:\S+\.\n$/,
    failing: "never",
  },
};

export const commandCases: Lane = Object.assign({}, ...lanes, lastLane);
