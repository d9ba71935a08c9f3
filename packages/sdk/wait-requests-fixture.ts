import { Berth } from "./berth.ts";
import { waitForJob } from "./wait-for-job.ts";

/** Counts the requests of a wait in a queue that moves once a minute. Each pause advances the time. */
export async function countWaitRequests({ minutes }: { readonly minutes: number }) {
  const counts = { requests: 0, notModified: 0, changes: 0 };
  let nowMs = 0;
  const answer: typeof fetch = async (_, init) => {
    const position = minutes - Math.floor(nowMs / 60_000);
    const etag = `"${position}"`;
    counts.requests++;
    if (new Headers(init?.headers).get("if-none-match") === etag) {
      counts.notModified++;
      return new Response(null, { status: 304, headers: { etag } });
    }
    const status = position > 0 ? "queued" : "active";
    const job = { job_id: "9e41", status, status_reason: null, queue_position: position, warning: null };
    return Response.json(job, { headers: { etag } });
  };
  const berth = new Berth({ url: "http://127.0.0.1", fetch: answer });
  const options = { until: "active", onChange: () => counts.changes++ } as const;
  await waitForJob(berth.jobs, "9e41", options, async (ms) => {
    nowMs += ms;
  });
  return counts;
}
