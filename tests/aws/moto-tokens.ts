import type { EC2Client } from "@aws-sdk/client-ec2";

/** EC2 answers the same volume for the same token, which moto does not read. */
export function honourTokens(client: EC2Client): void {
  const made = new Map<string, { readonly request: string; readonly answer: Promise<unknown> }>();
  const removed = new Set<unknown>();
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const { ClientToken, ...request } = args.input as Record<string, unknown>;
        if (commandName === "DeleteVolumeCommand") removed.add(request.VolumeId);
        if (commandName !== "CreateVolumeCommand") return next(args);
        const earlier = made.get(String(ClientToken));
        if (earlier && earlier.request !== JSON.stringify(request)) throw new Error("IdempotentParameterMismatch");
        const answer = earlier?.answer ?? next(args);
        made.set(String(ClientToken), { request: JSON.stringify(request), answer });
        const { output, ...rest } = (await answer) as Awaited<ReturnType<typeof next>>;
        const volume = output as { readonly VolumeId?: string };
        return { ...rest, output: { ...output, ...(removed.has(volume.VolumeId) && { State: "deleted" }) } };
      },
    { step: "initialize", name: "tokens" },
  );
}
