import type { WebhookDelivery } from "../../sdk/webhooks.ts";
import { type RecordedEnd, useAct } from "../data/acts.ts";
import { berth } from "../data/client.ts";
import { printable } from "../data/words.ts";
import { Ask } from "../parts/ask.tsx";
import { Outcome } from "../parts/state.tsx";

type Delivery = Pick<WebhookDelivery, "delivery_id" | "state" | "attempts" | "attempt_count" | "ended_at">;

interface DeliveryProps {
  readonly delivery: Delivery;
}

/** State of a delivery, with the error of its last attempt and the outcome of an act on it. */
export function DeliveryState({ delivery }: DeliveryProps) {
  const { delivery_id, state, attempts } = delivery;
  return (
    <>
      {printable(state.replace("_", " "), 40)}
      <LastError attempts={attempts} />
      <Outcome subject={`delivery ${delivery_id}`} end={findEnd(delivery)} />
    </>
  );
}

/** Reason why the last attempt of a delivery failed. */
function LastError({ attempts }: Pick<WebhookDelivery, "attempts">) {
  const last = attempts.at(-1);
  const error = last?.error ?? (last?.status != null && last.status >= 300 ? `status ${last.status}` : null);
  return error === null ? null : <span className="why">{printable(error, 300)}</span>;
}

/** Returns the end that a delivery shows, or undefined while it waits. */
function findEnd(delivery: Delivery): RecordedEnd | undefined {
  if (delivery.state === "waiting") return undefined;
  return { version: formatVersion(delivery), state: delivery.state === "delivered" ? "done" : "failed" };
}

function formatVersion({ attempt_count, ended_at }: Delivery): string {
  return `${attempt_count} ${ended_at}`;
}

/** Sends a delivery of the caller again. */
export function Resend({ delivery }: DeliveryProps) {
  const { delivery_id: id } = delivery;
  const act = useAct(`delivery ${id}`);
  return (
    <Ask
      title="Send it again"
      label="Resend"
      words={`berth api POST /v1/webhooks/deliveries/${id}/resend`}
      act={() => void act("Resend", () => berth.webhooks.resend(id), { acceptedAt: formatVersion(delivery) })}
    >
      <p>The receiver gets the same event with the same event_id.</p>
    </Ask>
  );
}
