import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import type { PortName } from "#core/context.ts";
import { type Entry, loadCatalog } from "#http/catalog.ts";
import { bundleFunctions } from "../../../scripts/bundling/bundle.ts";
import { type Measure, median, type Row } from "../measure.ts";
import { importMs, onLambda, type StockClient, writeBareHandler } from "./bare-handler.ts";

/** Rounds per function, and the least number of samples per group. Other load of the machine affects a whole group. */
const [rounds, leastMeasured] = [3, 15];

/**
 * Init of each function as on Lambda, and the bytes of its module, by the ports of the functions. The baseline is a
 * bare handler with the stock clients of the same services. Init of functions on the request path is limited to the
 * baseline. KMS, S3, EKS and STS have no stock client installed, so the baseline lacks them.
 */
export const inits: Measure = {
  name: "inits",
  async run() {
    const directory = await mkdtemp(join(tmpdir(), "berth-inits-"));
    try {
      const groups = await groupsIn(directory);
      const rows: Row[] = [];
      for (const group of groups) rows.push(await getRow(group, directory));
      return rows;
    } finally {
      await rm(directory, { recursive: true });
    }
  },
};

interface Group {
  /** Kind and ports: `endpoint: queue, table`. */
  readonly name: string;
  readonly kind: string;
  readonly clients: readonly StockClient[];
  readonly files: readonly string[];
}

/** Groups functions by kind and ports, because these have the same clients. */
async function groupsIn(directory: string): Promise<Group[]> {
  const { endpoints, consumers, schedules, fallbacks, sockets } = await loadCatalog();
  const entries: readonly Entry<Declared>[] = [...endpoints, ...consumers, ...schedules, ...fallbacks, ...sockets];
  const bundles = await bundleFunctions(entries, { outdir: directory, mapsdir: join(directory, "maps") });
  const groups = new Map<string, Omit<Group, "name" | "files"> & { readonly files: string[] }>();
  for (const [n, { declaration }] of entries.entries()) {
    const uses = [...(declaration.uses ?? [])].sort();
    const name = `${declaration.kind}: ${uses.join(", ") || "no port"}`;
    const group = groups.get(name) ?? {
      kind: declaration.kind,
      clients: listClients(declaration.kind, uses),
      files: [],
    };
    groups.set(name, group);
    group.files.push(bundles[n]?.file ?? "");
  }
  return [...groups].map(([name, group]) => ({ name, ...group }));
}

interface Declared {
  readonly kind: string;
  readonly uses?: readonly PortName[];
}

/**
 * Returns the clients behind the ports. Machines and volumes use EC2, but functions that only run commands do not call
 * it.
 */
function listClients(kind: string, uses: readonly PortName[]): StockClient[] {
  const asksEc2 =
    uses.includes("volumes") || (uses.includes("compute") && (kind === "consumer" || kind === "schedule"));
  return [
    ...(uses.includes("table") ? (["dynamoDb"] as const) : []),
    ...(uses.includes("queue") ? (["sqs"] as const) : []),
    ...(asksEc2 ? (["ec2"] as const) : []),
  ];
}

async function getRow({ name, kind, clients, files }: Group, directory: string): Promise<Row> {
  const bare = join(directory, `bare-${clients.join("-") || "none"}.mjs`);
  await writeBareHandler({ outfile: bare, uses: clients, made: "at init" });
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let round = 0; round < Math.max(rounds, leastMeasured / files.length); round++) {
    for (const file of files) {
      ours.push(await importMs(file, onLambda));
      theirs.push(await importMs(bare, onLambda));
    }
  }
  const modules = files.map((file) => readFileSync(file));
  const [whole, zipped] = [modules.map(({ byteLength }) => byteLength), modules.map(zippedBytes)];
  const bareModule = readFileSync(bare);
  const note = [
    `${files.length} functions: ${median(ours).toFixed(1)} ms, ${kB(whole)} kB, zipped ${kB(zipped)} kB`,
    `bare: ${median(theirs).toFixed(1)} ms, ${kB([bareModule.byteLength])} kB, zipped ${kB([zippedBytes(bareModule)])} kB`,
  ];
  return {
    name: `init of ${name}`,
    value: median(ours) / median(theirs),
    unit: "×",
    ...(isAwaited(kind) && clients.length > 0 && { limit: 1 }),
    note: note.join("; "),
  };
}

/** Reports whether a user's request waits for the function. */
function isAwaited(kind: string): boolean {
  return kind === "endpoint" || kind === "fallback";
}

function zippedBytes(module: Uint8Array): number {
  return deflateRawSync(module, { level: 9 }).byteLength;
}

/** Formats sizes as `216` or `210–240`. */
function kB(bytes: readonly number[]): string {
  const [least, most] = [Math.min(...bytes), Math.max(...bytes)].map((each) => Math.round(each / 1000));
  return least === most ? `${least}` : `${least}–${most}`;
}
