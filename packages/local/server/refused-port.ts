/** Rewords an error of listening on a port and adds advice. Returns other errors unchanged. */
export function refusedPort(error: unknown, port: number, advice: string): unknown {
  const reason = reasons[(error as NodeJS.ErrnoException).code ?? ""];
  return reason === undefined ? error : new Error(`Port ${port} ${reason}.\n${advice}.`, { cause: error });
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use",
  EACCES: "needs rights that you do not have",
};
