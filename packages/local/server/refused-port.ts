/** Why a port cannot be listened on, and what to set instead; what has nothing to do with the port, as it is. */
export function refusedPort(error: unknown, port: number, advice: string): unknown {
  const reason = reasons[(error as NodeJS.ErrnoException).code ?? ""];
  return reason === undefined ? error : new Error(`Port ${port} ${reason}.\n${advice}.`, { cause: error });
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use",
  EACCES: "needs rights that you do not have",
};
