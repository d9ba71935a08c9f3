import { setTimeout as sleep } from "node:timers/promises";
import type { CallerIdentity, SignedIdentityRequest } from "#core/ports/identity.ts";
import { IdentityRefused } from "#core/problem.ts";

// docs/apis/gpu-dev.md#log-in: 3 attempts of at most 3 s, 10 s in all, answers of at most 64 KiB.
const maxTries = 3;
const tryMs = 3_000;
const pauseMs = [100, 300];
const maxAnswerBytes = 64 * 1024;

/** Retries until STS answers. Throws `IdentityRefused` if STS refuses, and another error if it cannot be reached. */
export async function askSts(makeRequest: () => Promise<SignedIdentityRequest>): Promise<CallerIdentity> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await askOnce(await makeRequest());
    } catch (error) {
      if (error instanceof IdentityRefused || attempt === maxTries) throw error;
      await sleep(pauseMs[attempt - 1]);
    }
  }
}

async function askOnce({ url, method, headers, body }: SignedIdentityRequest): Promise<CallerIdentity> {
  const signal = AbortSignal.timeout(tryMs);
  const sent = body === undefined ? {} : { body };
  const response = await fetch(url, { method, headers, redirect: "manual", signal, ...sent });
  const text = await readText(response);
  if (response.status === 200) return callerIn(text);
  const code = findField(text, "Code");
  if (response.status >= 400 && response.status < 500 && code && !code.startsWith("Throttl")) {
    throw new IdentityRefused(code);
  }
  throw new Error(`STS answered ${response.status}`);
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxAnswerBytes) throw new Error("STS answered more than 64 KiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function callerIn(text: string): CallerIdentity {
  const account = findField(text, "Account");
  const arn = findField(text, "Arn");
  if (!account || !arn) throw new Error("STS answered without an identity");
  return { account, arn };
}

/** STS answers in XML, or in JSON to a request that was signed with `accept: application/json`. */
function findField(text: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]{1,2048})</${name}>|"${name}":"([^"\\\\]{1,2048})"`)
    .exec(text)
    ?.slice(1)
    .find(Boolean);
}
