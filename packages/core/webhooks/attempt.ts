import type { Context } from "../context.ts";
import { AddressRefused, NoAnswer } from "../problem.ts";
import { HOUR_MS, MINUTE_MS, SECOND_MS } from "../units.ts";
import { type Delivery, type DeliveryAttempt, ended, withAttempt } from "./delivery.ts";

/** Time-out of a whole post (docs/apis/novita.md#webhooks). */
export const PATIENCE_MS = 10_000;

interface Post {
  readonly id: string;
  readonly url: string;
  readonly body: string;
}

/** Posts once and never throws: the result holds the status, or a word for the failure. */
export async function postAttempt(ctx: Context<"fetch">, { id, url, body }: Post): Promise<Result> {
  try {
    const headers = webhookHeaders(ctx, id, body, ctx.clock.now());
    const { status, retryAfterMs } = await ctx.fetch.post({ url, headers, body, timeoutMs: PATIENCE_MS });
    return { status, error: null, retryAfterMs, isFinal: isFinalStatus(status) };
  } catch (error) {
    if (error instanceof AddressRefused) return unanswered("private address", true);
    return unanswered(error instanceof NoAnswer ? error.message : "network error", false);
  }
}

function unanswered(error: string, isFinal: boolean): Result {
  return { status: null, error, retryAfterMs: null, isFinal };
}

/** Delays between the end of an attempt and the next one (docs/apis/novita.md#webhooks): 8 attempts in all. */
const WAITS_MS = [SECOND_MS, 2 * SECOND_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS, 10 * HOUR_MS];
const LONGEST_RETRY_AFTER_MS = HOUR_MS;
/** A series is given up after this, even if the circuit allowed few or no attempts. */
export const SERIES_MS = 24 * HOUR_MS;

export interface Result {
  readonly status: number | null;
  readonly error: string | null;
  readonly retryAfterMs: number | null;
  /** Whether retrying is pointless, even if the schedule has attempts left. */
  readonly isFinal: boolean;
}

const WORTH_ANOTHER_TRY = [408, 429];

function isFinalStatus(status: number): boolean {
  return status < 500 && !WORTH_ANOTHER_TRY.includes(status);
}

export function afterAttempt(delivery: Delivery, attempt: DeliveryAttempt, result: Result, now: number): Delivery {
  const tried = withAttempt(delivery, attempt);
  if (result.status !== null && result.status >= 200 && result.status < 300) return ended(tried, "delivered", now);
  const wait = WAITS_MS[tried.tries - 1];
  if (result.isFinal || wait === undefined) return ended(tried, "given_up", now);
  const retryAfterMs = Math.min(result.retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS);
  return { ...tried, dueAt: now + Math.max(wait, retryAfterMs) };
}

const BASE64_SECRET = "whsec_";

/**
 * Returns the headers of one attempt (docs/apis/novita.md#webhooks), signed if there is a secret. `webhook-signature`
 * follows Standard Webhooks.
 */
function webhookHeaders(ctx: Context, id: string, body: string, now: number): Record<string, string> {
  const timestamp = String(Math.floor(now / 1000));
  return {
    "Content-Type": "application/json",
    "User-Agent": "Berth-Webhook/1",
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    ...getSignatures(ctx, body, `${id}.${timestamp}.${body}`),
  };
}

function getSignatures({ ids, settings }: Context, body: string, signed: string): Record<string, string> {
  const { webhookSecret } = settings;
  if (webhookSecret === undefined) return {};
  const text = `sha256=${hex(ids.hmac(bytesOfText(webhookSecret), body))}`;
  const key = webhookSecret.startsWith(BASE64_SECRET)
    ? bytesOfBase64(webhookSecret.slice(BASE64_SECRET.length))
    : bytesOfText(webhookSecret);
  const signature = `v1,${base64(ids.hmac(key, signed))}`;
  return { "X-Signature-SHA256": text, "X-Webhook-Signature": text, "webhook-signature": signature };
}

function bytesOfText(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function bytesOfBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
