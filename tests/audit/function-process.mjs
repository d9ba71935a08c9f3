// What Lambda's runtime does with the bundle of a function, at a time of day that the parent says: `node
// function-process.mjs <bundle>` loads `handler`, and answers a message `{ event, now }` with the answer or error, and
// with what the function wrote to its log meanwhile.
import { syncBuiltinESMExports } from "node:module";
import timers from "node:timers/promises";
import { pathToFileURL } from "node:url";

const { now: systemNow } = Date;
const monotonicNow = performance.now.bind(performance);
const { setTimeout: sleep } = timers;
let aheadMs = 0;
let skippedMs = 0;
let said = "";
Date.now = () => systemNow() + aheadMs + skippedMs;
performance.now = () => monotonicNow() + skippedMs;
// What is waited for here happens at once or never: all but a part of a long sleep is skipped, by both clocks.
timers.setTimeout = async (ms, ...more) => {
  const slept = ms < 200 ? ms : ms / 20;
  const value = await sleep(slept, ...more);
  skippedMs += ms - slept;
  return value;
};
syncBuiltinESMExports();
process.stdout.write = (text) => {
  said += text;
  return true;
};
const { handler } = await import(pathToFileURL(process.argv[2]).href);
process.on("message", async ({ event, now }) => {
  aheadMs = now - systemNow();
  skippedMs = 0;
  const answer = await handler(event, { awsRequestId: "11111111-1111-1111-1111-111111111111" }).then(
    (value) => ({ value }),
    (error) => ({ error: String(error) }),
  );
  process.send({ ...answer, said });
  said = "";
});
process.send("ready");
