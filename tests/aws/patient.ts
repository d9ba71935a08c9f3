import type { ServicePatience } from "#aws/client-options.ts";
import type { CallPatience } from "#aws/service-call.ts";

/** Limits for a server on a busy machine. */
export const patient: ServicePatience = { connectMs: 60_000, answerMs: 60_000, changeMs: 120_000 };

/** The same for calls without a client. */
export const patientCalls: CallPatience = { tryMs: 60_000, togetherMs: 120_000 };
