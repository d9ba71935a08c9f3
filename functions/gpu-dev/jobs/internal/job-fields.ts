import * as z from "zod";
import { parsePublicKey } from "#core/environments/access/ssh-keys.ts";
import { tooWeak, weakRsaBits } from "#core/environments/access/whole-key.ts";
import type { Settings } from "#core/settings.ts";
import { imageFault, imagePattern, LONGEST_IMAGE } from "#core/text/image-reference.ts";
import { shownText } from "#http/answers/shown-text.ts";
import { publishedGithubName, withoutControls } from "#http/published-patterns.ts";

export const LONGEST_NAME = 128;

const MOST_COMMAND_BYTES = 16 * 1024;

/** GitHub's own rule for names (docs/apis/gpu-dev.md#job-actions). */
export const githubName = /^[a-zA-Z0-9](?:[a-zA-Z0-9]|-(?=[a-zA-Z0-9])){0,38}$/;

export const githubNameRule =
  "A GitHub name has 1 to 39 letters, numbers, and single hyphens, and begins and ends with a letter or number";

export const GithubName = z.string().regex(githubName, githubNameRule).meta(publishedGithubName);

/** Enough for an RSA key of 16,384 bits and a comment. */
const LONGEST_KEY = 4096;

/** A public SSH key in one line. The output has no comment. */
export const PublicKey = z
  .string()
  .max(LONGEST_KEY)
  .transform((text, ctx) => {
    const key = parsePublicKey(text);
    if (key === undefined) {
      const bits = weakRsaBits(text);
      const message =
        bits === undefined ? "Input should be one public SSH key in one line, without options" : tooWeak(bits);
      ctx.addIssue({ code: "custom", message });
      return z.NEVER;
    }
    return key;
  })
  .meta({ example: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKyIfIKesG74ewOtTC3tBQqxMFN0b59wd+tI//HxmJ0E me@laptop" });

/** Checked here, because a wrong name would fail only after the wait for GPUs. */
export const Image = z
  .string()
  .min(1, { abort: true })
  .max(LONGEST_IMAGE, { abort: true })
  .superRefine((text, ctx) => {
    const message = imageFault(text);
    if (message !== undefined) ctx.addIssue({ code: "custom", params: { type: "string_pattern_mismatch" }, message });
  })
  .meta({ pattern: imagePattern });

export function durationHours(settings: Settings) {
  return z.number().min(settings.minDurationHours).max(settings.maxDurationHours);
}

export const Command = z
  .string()
  .refine((text) => Buffer.byteLength(text) <= MOST_COMMAND_BYTES, "At most 16 KiB are allowed")
  .refine((text) => !text.includes("\0"), "Must not contain NUL")
  .nullish()
  .describe(
    "Run by a shell inside the job, at most 16 KiB. When it ends the job ends; without one it lives until its time is over.",
  );

export const OnInterruption = z
  .enum(["fail", "requeue"])
  .describe(
    "What happens when the job's machine is taken back, drained or lost. `fail` (default): the job fails. `requeue`: it returns to the queue with its disk and its remaining time.",
  );

/** Tokens of ECR have about 2,000 characters, and a key file as password 2,500. */
const LONGEST_PASSWORD = 4_096;

/** A colon ends the name in HTTP's Basic authentication (RFC 7617, section 2). */
export const RegistryAuth = z
  .strictObject({
    username: z
      .string()
      .min(1)
      .max(256)
      .regex(/^[^\p{Cc}:]+$/u, "username must be printable and without colons")
      .meta({ pattern: "^[^\\x00-\\x1f\\x7f-\\x9f:]+$" })
      .describe("The user of the registry."),
    password: z
      .string()
      .min(1)
      .max(LONGEST_PASSWORD)
      // The password of some registries is a file of JSON, with line breaks.
      .regex(/^(?:\P{Cc}|[\t\n\r])+$/u, "password must not have control characters")
      .meta({ pattern: "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]+$" })
      .describe("The password or token."),
  })
  .meta({ id: "RegistryAuth" });

/** Longer ones would keep GPUs from others for long. The deployment's own may be longer. */
const LONGEST_GRACE_SECONDS = 300;

export const GraceSeconds = z.int().min(1).max(LONGEST_GRACE_SECONDS);

export const JobName = z
  .string()
  .min(1)
  .max(LONGEST_NAME)
  .regex(shownText, "Name must be printable")
  .refine((text) => text.trim() !== "", "Name must not be blank")
  .meta({ pattern: withoutControls })
  .nullish()
  .describe("The job's name, for people: 1 to 128 printable characters. Defaults to the pod's name.");
