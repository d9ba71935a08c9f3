// What Lambda's runtime does with the zip of a function, without a network: loads `handler` of index.mjs, and hands it one
// event after another. `node bootstrap.mjs <directory>`; the events come from the parent, and the answers go there.
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { handler } = await import(pathToFileURL(join(process.argv[2], "index.mjs")).href);
process.on("message", async (event) => {
  const answer = await handler(event, { awsRequestId: "11111111-1111-1111-1111-111111111111" }).then(
    (value) => ({ value }),
    (error) => ({ error: String(error) }),
  );
  process.send(answer);
});
process.send("ready");
