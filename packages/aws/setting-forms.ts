import * as z from "zod";
import { regions } from "./regions.ts";

/** A number in decimal, within its bounds. */
export function number({ min, max, whole = false }: { min: number; max: number; whole?: boolean }) {
  const rule = `must be a ${whole ? "whole " : ""}number from ${min} to ${max}`;
  return z
    .string()
    .regex(whole ? /^\d+$/ : /^\d+(\.\d+)?$/, rule)
    .transform(Number)
    .refine((value) => value >= min && value <= max, rule);
}

export function text(pattern: RegExp, rule: string) {
  return z.string(rule).regex(pattern, rule);
}

export function list(pattern: RegExp, what: string) {
  const rule = `must be ${what}, separated by commas`;
  return z
    .string(rule)
    .transform((text) => text.split(",").map((entry) => entry.trim()))
    .refine((entries) => entries.every((entry) => pattern.test(entry)), rule);
}

/** Standard Webhooks: a secret that begins like this is the bytes that follow. */
export function isBase64AfterPrefix(secret: string): boolean {
  return (
    !secret.startsWith("whsec_") ||
    /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(secret.slice(6))
  );
}

/** Without a slash at its end: paths begin with theirs, and signatures are made of one. */
export function endpointUrl() {
  return z
    .url({ protocol: /^https?$/, error: "must be a URL" })
    .transform((url) => url.replace(/\/+$/, ""))
    .optional();
}

export function isKeysPattern(text: string): boolean {
  return /^https?:\/\/[^/<>?#]+\/[^<>?#]*<user>[^<>?#]*$/.test(text) && URL.canParse(text.replace("<user>", "user"));
}

export function stsOfAllRegions(): string[] {
  return ["https://sts.amazonaws.com", ...regions.map((region) => `https://sts.${region}.amazonaws.com`)];
}
