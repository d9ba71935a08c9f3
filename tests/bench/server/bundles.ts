import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadCatalog } from "#http/catalog.ts";
import { bundleFunction } from "../../../scripts/bundling/bundle.ts";
import { type Measure, median, type Row } from "../measure.ts";
import { importMs, onLambda, writeBareHandler } from "./bare-handler.ts";

const mostBytes = 450_000;
const mostRatio = 1;
const rounds = 11;

/** Uses every port of the request path except STS. */
const submit = "functions/gpu-dev/jobs/submit.ts";

/** Size of the largest request-path bundle, and its import time over a bare handler with the same AWS clients. */
export const bundles: Measure = {
  name: "bundles",
  async run() {
    const directory = await mkdtemp(join(tmpdir(), "berth-bench-"));
    try {
      const largest = await largestBundle(directory);
      const { file } = await bundleFunction(submit, join(directory, "submit"));
      const [bare, bareAtInit] = [join(directory, "bare-later.mjs"), join(directory, "bare-init.mjs")];
      await writeBareHandler({ outfile: bare, uses: ["dynamoDb", "sqs"], made: "later" });
      await writeBareHandler({ outfile: bareAtInit, uses: ["dynamoDb", "sqs"], made: "at init" });
      const times = await importTimes({ file, bare, bareAtInit });
      const size = { name: "largest request-path bundle", value: largest.bytes, unit: "B", limit: mostBytes };
      return [{ ...size, note: largest.file }, ...ratioRows(times)];
    } finally {
      await rm(directory, { recursive: true });
    }
  },
};

/** Compares two imports that create no clients, then two inits on Lambda that create theirs. */
function ratioRows(times: readonly Times[]): Row[] {
  const against = (ours: (times: Times) => number, bare: (times: Times) => number) => ({
    value: median(times.map((time) => ours(time) / bare(time))),
    unit: "×",
    note: `median of ${times.length}; ${median(times.map(ours)).toFixed(0)} ms against ${median(times.map(bare)).toFixed(0)} ms`,
  });
  const imported = against(
    (times) => times.ours,
    (times) => times.bare,
  );
  const init = against(
    (times) => times.oursOnLambda,
    (times) => times.bareOnLambda,
  );
  return [
    { name: "import of submit over a bare handler", ...imported, limit: mostRatio },
    { name: "init on Lambda: clients made, and by us the first Request", ...init },
  ];
}

async function largestBundle(directory: string): Promise<{ readonly file: string; readonly bytes: number }> {
  const { endpoints } = await loadCatalog();
  const sizes = await Promise.all(
    endpoints.map(async ({ name, file }) => ({
      file,
      bytes: (await bundleFunction(file, join(directory, name))).bytes,
    })),
  );
  return sizes.reduce((left, right) => (right.bytes > left.bytes ? right : left));
}

interface Times {
  readonly ours: number;
  readonly bare: number;
  readonly oursOnLambda: number;
  readonly bareOnLambda: number;
}

/** Measures in turns, so a busy machine slows all of them. */
async function importTimes(files: { file: string; bare: string; bareAtInit: string }): Promise<Times[]> {
  const times: Times[] = [];
  for (let round = 0; round < rounds; round++) {
    times.push({
      ours: await importMs(files.file, {}),
      bare: await importMs(files.bare, {}),
      oursOnLambda: await importMs(files.file, onLambda),
      bareOnLambda: await importMs(files.bareAtInit, onLambda),
    });
  }
  return times;
}
