const answeredWithinMs = 2_000;
const mostBytes = 1024 * 1024;

/** Counts working kernels. Returns null without a proper answer, which counts as use because a kernel may train. */
export async function countKernels(origin: string, token: string, now: number): Promise<number | null> {
  try {
    const headers = { authorization: `token ${token}` };
    const signal = AbortSignal.timeout(answeredWithinMs);
    const response = await fetch(`${origin}/api/kernels`, { headers, signal, redirect: "error" });
    const kernels: unknown = response.status === 200 ? JSON.parse(await readText(response)) : null;
    return Array.isArray(kernels) ? kernels.filter((kernel) => isAtWork(kernel, now)).length : null;
  } catch {
    return null;
  }
}

/** Environments may send endless answers. */
async function readText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > mostBytes) throw new Error("Too long");
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

/** A kernel to which no client ever connected stays in `starting`. */
const startsWithinMs = 10 * 60_000;

/** Reports whether a kernel works: it is busy, or it is in a state other than these two and was active lately. */
function isAtWork(kernel: unknown, now: number): boolean {
  const { execution_state: state, last_activity: at } = (kernel ?? {}) as Record<string, unknown>;
  if (state === "idle" || state === "dead") return false;
  if (state === "busy") return true;
  const activeAt = typeof at === "string" ? Date.parse(at) : Number.NaN;
  return !(now - activeAt > startsWithinMs);
}
