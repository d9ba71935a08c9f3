import { sealer } from "#aws/kms-sealer.ts";
import { table } from "#aws/table.ts";
import { novita } from "#http/dialects/novita.ts";
import { lambda } from "#lambda/lambda.ts";
import { instanceOf } from "./parts/named.ts";
import { showInstance } from "./parts/show.ts";
import { Instance, InstanceRef } from "./wire.ts";

export const endpoint = novita.get(
  "/api/instances/{instanceId}",
  { summary: "Show an instance", uses: ["table", "sealer"], params: InstanceRef, reply: Instance },
  async ({ ctx, params }) => showInstance(ctx, await instanceOf(ctx, params)),
);

export const handler = lambda(endpoint, { table, sealer });
