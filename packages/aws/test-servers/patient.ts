import type { ServicePatience } from "../client-options.ts";

/** With a server on a machine that is busy, where a second is not long. */
export const patient: ServicePatience = { connectMs: 60_000, answerMs: 60_000 };
