import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const page = `<!doctype html><title>Plain</title><table><tbody id="rows"></tbody></table>
<script type="module">
const { jobs } = await (await fetch("/jobs")).json();
for (const job of jobs) {
  const row = document.createElement("tr");
  row.append(Object.assign(document.createElement("td"), { textContent: job.name }));
  document.getElementById("rows").append(row);
}
</script>`;

/** A page with one fetch and one table. Each of its fetches makes one call of the stack. */
export async function openPlainServer(readJobs: () => Promise<unknown>) {
  const server = createServer(async ({ url }, response) => {
    const isJobs = url === "/jobs";
    response.setHeader("content-type", isJobs ? "application/json" : "text/html");
    response.end(isJobs ? JSON.stringify(await readJobs()) : page);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
