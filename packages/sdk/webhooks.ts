import type { components } from "./schema.ts";
import type { CallOptions, CreateOptions, Transport } from "./transport.ts";

type Schemas = components["schemas"];
export type WebhookDelivery = Schemas["WebhookDelivery"];

interface ListDeliveriesOptions extends CallOptions {
  /** Only deliveries about this job. A whole id. */
  readonly environmentId?: string | undefined;
}

/** Deliveries of webhooks. */
export class Webhooks {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Yields the deliveries, newest first, page by page.
   *
   * @example
   * for await (const { delivery_id, state } of berth.webhooks.list()) console.log(delivery_id, state);
   */
  async *list({ environmentId, ...options }: ListDeliveriesOptions = {}): AsyncGenerator<WebhookDelivery> {
    let after: string | undefined;
    do {
      const query = { limit: 100, after, environment_id: environmentId };
      const page: Schemas["WebhookDeliveryList"] = await this.#transport.send("GET", "/v1/webhooks/deliveries", {
        ...options,
        query,
      });
      yield* page.deliveries;
      after = page.next ?? undefined;
    } while (after !== undefined);
  }

  /**
   * Sends a delivery again.
   *
   * @example
   * const { state } = await berth.webhooks.resend("4e1f0c8a");
   */
  resend(deliveryId: string, options: CreateOptions = {}): Promise<WebhookDelivery> {
    const path = `/v1/webhooks/deliveries/${encodeURIComponent(deliveryId)}/resend`;
    return this.#transport.send("POST", path, { ...options, repeat: "key" });
  }
}
