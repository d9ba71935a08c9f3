import * as z from "zod";
import { imageFault, LONGEST_IMAGE } from "#core/text/image-reference.ts";
import { regions } from "../sts/regions.ts";

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

export function flag() {
  return z.enum(["0", "1"], { error: "must be 0 or 1" }).transform((value) => value === "1");
}

/** Validates an image name. Each image that `filled` makes of it must have a valid name. */
export function image(filled: (name: string) => string = (name) => name) {
  return z
    .string("must be the name of an image")
    .max(LONGEST_IMAGE, { error: `must be at most ${LONGEST_IMAGE} characters`, abort: true })
    .superRefine((name, ctx) => {
      const fault = imageFault(filled(name));
      if (fault !== undefined) ctx.addIssue({ code: "custom", message: `must be the name of an image: ${fault}` });
    });
}

export function list(pattern: RegExp, noun: string) {
  const rule = `must be ${noun}, separated by commas`;
  return z
    .string(rule)
    .transform((text) => text.split(",").map((entry) => entry.trim()))
    .refine((entries) => entries.every((entry) => pattern.test(entry)), rule);
}

/** Reports whether the secret follows Standard Webhooks: base64 follows the prefix `whsec_`. */
export function isBase64AfterPrefix(secret: string): boolean {
  return (
    !secret.startsWith("whsec_") ||
    /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(secret.slice(6))
  );
}

/** Removes trailing slashes, because paths begin with one and signatures cover the URL. */
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

const annotationKey = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** Parses Kubernetes annotations: a JSON object of texts. */
export function annotations() {
  const rule = 'must be JSON like {"nginx.ingress.kubernetes.io/auth-url":"https://…"}';
  return z.string().transform((text, ctx) => {
    const parsed = z.record(z.string().regex(annotationKey), z.string()).safeParse(jsonIn(text));
    if (parsed.success && Object.keys(parsed.data).length > 0) return parsed.data;
    ctx.addIssue({ code: "custom", message: rule });
    return z.NEVER;
  });
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
