import { dirname, join } from "node:path/posix";

/** Rooms that each room may import, besides itself. Tests may import anything, and nothing imports scripts. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  core: [],
  http: ["core"],
  aws: ["core"],
  sqlite: ["core"],
  // Frames and streams without knowledge of runs, which both ends of a pipe into a run share.
  relay: [],
  process: ["core", "relay"],
  kubernetes: ["core"],
  lambda: ["core", "http", "aws", "kubernetes"],
  // A cluster runs it without the sandboxes of a laptop.
  gateway: ["core", "http", "kubernetes", "relay"],
  // The program of a cluster's gateway. It adds the adapters for AWS to the package above.
  "gateway-server": ["core", "http", "aws", "kubernetes", "gateway"],
  // It finds the functions through the catalog.
  local: ["core", "http", "aws", "sqlite", "process", "kubernetes", "gateway", "relay"],
  // Users install these two without the rest of Berth.
  sdk: [],
  cli: ["sdk"],
  // It runs in browsers, and reaches Berth only through the SDK.
  console: ["sdk"],
  functions: ["core", "http", "aws", "lambda"],
  scripts: [
    "core",
    "http",
    "aws",
    "sqlite",
    "process",
    "kubernetes",
    "gateway-server",
    "local",
    "cli",
    "console",
    "sdk",
    "stacks",
    "tests",
  ],
};

/** Folders of an environment: each may import itself and those before it. */
const environmentFolders = ["record", "access", "verbs", "steps"];

/** Rooms that import no packages, not even Node's modules: the core is pure, and the SDK runs in browsers. */
const withoutPackages: readonly string[] = ["core", "sdk"];

/** Optional peer dependencies, each with the only file that may import it. */
const peerPackages: Readonly<Record<string, string>> = { "packages/sdk/aws.ts": "@smithy/signature-v4" };

/** File names of tests, fixtures, cases and stubs, anywhere in the tree. */
const ofTests = /(\.test|-cases|-stub)\.ts$|(^|[/-])fixture[.-]/;

/** Reports whether a file is only for tests. Shipped code may neither import nor contain it. */
export function isForTests(file: string): boolean {
  return ofTests.test(file) || file.startsWith("tests/");
}

export function wrongImports(file: string, text: string): string[] {
  const room = findRoom(file) ?? "";
  if (room === "tests") return [];
  const allowed = rooms[room];
  if (!allowed) throw new Error(`packages/${room} is not in the table of layers`);
  if (/(\.test|-fixture)\.ts$/.test(file)) return [];
  const mayImport = (source: string) => {
    const target = targetRoom(file, source);
    if (target === undefined) return !withoutPackages.includes(room) || peerPackages[file] === source;
    return target === room || allowed.includes(target);
  };
  const isAhead = (source: string) => {
    const ownIndex = environmentFolders.indexOf(getEnvironmentFolder(file));
    return ownIndex >= 0 && environmentFolders.indexOf(getEnvironmentFolder(formatPath(file, source))) > ownIndex;
  };
  const may = allowed.length > 0 ? `${allowed.join(", ")} and itself` : "itself";
  const sources = importsIn(text);
  return [
    ...sources
      .filter((source) => !mayImport(source))
      .map((source) => `${file} imports ${source}: ${room} may import ${may}`),
    ...sources
      .filter(isAhead)
      .map(
        (source) => `${file} imports ${source}: environments/ may import in the order ${environmentFolders.join(", ")}`,
      ),
    ...(isShipped(file) ? sources : [])
      .filter((source) => mayImport(source) && isForTests(formatPath(file, source)))
      .map((source) => `${file} imports ${source}, which is only for tests`),
  ];
}

/** Scripts that run or bundle Berth. All other scripts may import test machinery. */
const runningScripts: readonly string[] = [
  "start",
  "env",
  "record",
  "bundling/bundle",
  "bundle-all",
  "bundling/function-list",
];

function isShipped(file: string): boolean {
  if (!file.startsWith("scripts/")) return !isForTests(file);
  return runningScripts.some((name) => file === `scripts/${name}.ts`);
}

function importsIn(text: string): string[] {
  const found = text.matchAll(/^(?:import |(?:import|export|\}).* from )"([^"]+)"|\bimport\("([^"]+)"\)/gm);
  return [...found].map(([, fixed, dynamic]) => fixed ?? dynamic ?? "");
}

function targetRoom(file: string, source: string): string | undefined {
  if (source.startsWith("#")) return source.slice(1, source.indexOf("/"));
  return source.startsWith(".") ? findRoom(join(dirname(file), source)) : undefined;
}

function formatPath(file: string, source: string): string {
  if (/^#(functions|tests)\//.test(source)) return source.slice(1);
  if (source.startsWith("#")) return source.replace("#", "packages/");
  return source.startsWith(".") ? join(dirname(file), source) : source;
}

function getEnvironmentFolder(path: string): string {
  return /^packages\/core\/environments\/([^/]+)\//.exec(path)?.[1] ?? "";
}

function findRoom(path: string): string | undefined {
  const [top, next] = path.split("/");
  return top === "packages" ? next : top;
}
