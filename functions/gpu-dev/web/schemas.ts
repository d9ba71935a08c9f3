import * as z from "zod";

export const webCodeExample = "vT3mPq0l3c8ZkWcH2b9nYs5dJx7fRaUeGg1oQi4tLzE";

export const WebCodeBody = z
  .object({ code: z.string().max(100).describe("The code from the fragment of the link that `berth web` opened.") })
  .meta({ id: "WebCodeBody" });
