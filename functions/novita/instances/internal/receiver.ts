import type { UserContext } from "#core/context.ts";
import { Problem } from "#core/problem.ts";
import { checkReceiver } from "#core/webhooks/receiver.ts";
import { HttpError } from "#http/answers/http-error.ts";

/** Refuses a webhookUrl that must not be called, as a bad field. */
export async function refuseBadReceiver(ctx: UserContext<"fetch">, url: string | undefined): Promise<void> {
  if (url === undefined) return;
  try {
    await checkReceiver(ctx, url, "webhookUrl");
  } catch (error) {
    if (!(error instanceof Problem) || error.kind !== "invalid") throw error;
    const fields = (error.details.fields ?? []).map((field) => ({ ...field, isOwn: true }));
    throw new HttpError("badFields", { fields });
  }
}
