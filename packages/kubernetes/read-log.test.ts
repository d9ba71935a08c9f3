import { expect, it } from "vitest";
import type { ApiClient } from "./api-client.ts";
import { pathsOf } from "./paths.ts";
import { readLog } from "./read-log.ts";
import { recentRuns } from "./recent-runs.ts";

it("a log is given up in time also where the cluster does not even say which pod has it", async () => {
  const never = () => new Promise<never>(() => undefined);
  const client = { find: never, list: never, open: never } as Partial<ApiClient> as ApiClient;

  const reading = readLog(
    { client, paths: pathsOf("environments"), deployment: "one" },
    { uid: "a".repeat(32), run: 1 },
    recentRuns(Date.now),
  );

  await expect(reading).rejects.toMatchObject({ name: "ApiUnreachable", code: "timed out" });
});
