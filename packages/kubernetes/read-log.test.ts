import { describe, expect, it } from "vitest";
import type { ApiClient } from "./api-client.ts";
import { apiClient } from "./api-client.ts";
import { answerJson, loopbackServer } from "./loopback-fixture.ts";
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

/** What a log is whose node answers with these texts, one after the other, and how often it was asked. */
async function readFrom(answers: readonly string[]): Promise<{ text: string; asked: number }> {
  let asked = 0;
  const labels = { "berth/uid": "a".repeat(32) };
  const pod = {
    metadata: { name: "pod", uid: "u", resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z", labels },
    spec: {},
  };
  const server = await loopbackServer((request, response) => {
    if (!request.url?.includes("/log?")) return answerJson(response, { items: [pod], metadata: {} });
    response.writeHead(200, { "content-type": "text/plain" }).end(answers[asked] ?? answers.at(-1));
    asked += 1;
  });
  const client = apiClient(server.access);
  const place = { client, paths: pathsOf("environments"), deployment: "one" };
  try {
    const recent = { ...recentRuns(Date.now), find: () => ({ jobs: [], pods: [pod] }) };
    return { text: await readLog(place, { uid: "a".repeat(32), run: 1 }, recent), asked };
  } finally {
    client.close();
    await server.close();
  }
}

const container = `containerd://${"0a".repeat(32)}`;
const errors = [
  `unable to retrieve container logs for ${container}`,
  'failed to try resolving symlinks in path "/var/log/pods/a_b_c/main/0.log": lstat /var/log/pods: no such file or directory',
  'failed to open log file "/var/log/pods/a_b_c/main/0.log": open /var/log/pods: too many open files',
];

describe("a kubelet's error that comes as text with status 200", () => {
  it.each(errors)("is no log, and the log is asked for once more: %s", async (error) => {
    expect(await readFrom([error, "epoch 1\n"])).toEqual({ text: "epoch 1\n", asked: 2 });
  });

  it.each(errors)("is a reason where it comes again: %s", async (error) => {
    await expect(readFrom([error])).rejects.toThrow("The node of the container does not find its log");
  });

  it.each([
    `${errors[0]}\n`,
    `epoch 1\n${errors[0]}`,
    `${errors[0]} said the node`,
    "unable to retrieve container logs for me",
    "",
  ])("is not mistaken for what a command prints: %j", async (text) => {
    expect(await readFrom([text])).toEqual({ text, asked: 1 });
  });
});
