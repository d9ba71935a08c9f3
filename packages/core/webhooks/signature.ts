import type { Context } from "../context.ts";

const BASE64_SECRET = "whsec_";

/**
 * Returns the headers of one attempt (docs/apis/novita.md#webhooks), signed if there is a secret. `webhook-signature`
 * follows Standard Webhooks.
 */
export function webhookHeaders(ctx: Context, id: string, body: string, now: number): Record<string, string> {
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
