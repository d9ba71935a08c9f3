import type { IncomingMessage, ServerResponse } from "node:http";
import { onTestFinished } from "vitest";
import type { Compute } from "#core/ports/compute.ts";
import { type LogLine, recordingLog } from "#testing/log.ts";
import { apiClient } from "./api-client.ts";
import { kubernetesCompute } from "./compute.ts";
import { answerJson, type LoopbackServer, loopbackServer, refuse } from "./loopback-fixture.ts";

export const uid = "a".repeat(32);
export const now = Date.parse("2026-01-01T00:10:00Z");

/** The first Job of a run of that uid, its pod, and the node that the pod is on, which does not answer. */
export const job = {
  metadata: {
    name: `${uid}-r1`,
    uid: "job-1",
    creationTimestamp: "2026-01-01T00:00:00Z",
    labels: { "berth/uid": uid, "berth/run": "1" },
  },
  status: { startTime: "2026-01-01T00:00:00Z" },
};
export const pod = {
  metadata: {
    ...job.metadata,
    name: `${uid}-r1-x`,
    ownerReferences: [{ kind: "Job", name: `${uid}-r1`, uid: "job-1" }],
  },
  spec: { nodeName: "one" },
  status: { phase: "Running" },
};
export const node = { metadata: { name: "one", uid: "node-1", creationTimestamp: "2025-01-01T00:00:00Z" }, spec: {} };

export type Answer = (response: ServerResponse, request: IncomingMessage) => void;

export const object =
  (body: object): Answer =>
  (response) =>
    answerJson(response, body);
export const list = (...items: readonly object[]): Answer => object({ metadata: { resourceVersion: "1" }, items });
export const refused =
  (status: number, reason: string): Answer =>
  (response) =>
    refuse(response, status, reason);

/** A cluster that a test opens, and what was asked of it and logged since then. */
export interface AnsweringCluster {
  /**
   * By what answers each request: its method and the kind of what it is for, where that is a Job, a pod, a node or an
   * event (`GET jobs`, `GET undefined`). It is closed after the test.
   */
  opened(answers: Readonly<Record<string, Answer>>, at?: () => number): Promise<Compute>;
  requests(): LoopbackServer["requests"];
  /** How many requests of this method had this after a `/`. */
  asked(method: string, kind: string): number;
  logged(): readonly LogLine[];
}

export function answeringCluster(): AnsweringCluster {
  let requests: LoopbackServer["requests"] = [];
  let log = recordingLog();
  return {
    async opened(answers, at = () => now) {
      const server = await loopbackServer((request, response) => {
        const [path = ""] = (request.url ?? "").split("?");
        const kind = /\/(jobs|pods|nodes|events)(\/|$)/.exec(path)?.[1];
        const answer = answers[`${request.method} ${kind}`];
        if (!answer) return refuse(response, 500, "NobodyAnswers", path);
        answer(response, request);
      });
      const client = apiClient(server.access);
      onTestFinished(async () => {
        client.close();
        await server.close();
      });
      requests = server.requests;
      log = recordingLog();
      const machineOf = async () => "unknown" as const;
      return kubernetesCompute({ client, namespace: "environments", deployment: "one", now: at, machineOf, log });
    },
    requests: () => requests,
    asked: (method, kind) => requests.filter((one) => one.method === method && one.url.includes(`/${kind}`)).length,
    logged: () => log.lines,
  };
}
