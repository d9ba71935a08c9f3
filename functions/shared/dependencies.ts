import type { Context } from "#core/context.ts";

/** Which stores answered within 800 ms, so that /health is answered in under a second. What went wrong is logged. */
export async function checkDependencies(
  ctx: Context<"table" | "queue">,
): Promise<{ readonly table: boolean; readonly queue: boolean }> {
  const [table, queue] = await Promise.all([
    answers(ctx, "table", () => ctx.table.get({ pk: "health", sk: "-" })),
    answers(ctx, "queue", () => ctx.queue.depth("work")),
  ]);
  return { table, queue };
}

const PATIENCE_MS = 800;

async function answers(ctx: Context, name: string, ask: () => Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`No answer in ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  try {
    await Promise.race([ask(), silence]);
    return true;
  } catch (error) {
    ctx.log.warn("dependency down", { dependency: name, error: String(error) });
    return false;
  } finally {
    clearTimeout(timer);
  }
}
