import type { Channel, SocketSession } from "#http/socket.ts";
import { findUsable, runCommand, type ShellContext } from "./shell-command.ts";
import { gone, isPing, overdue, type ShellStep, takeFrame } from "./shell-step.ts";

/** A connection that a server keeps in memory: its commands run one after another. */
export function shellSession(ctx: ShellContext, begun: ShellStep, channel: Channel): SocketSession {
  let { state } = begun;
  let line: Promise<void> = Promise.resolve();
  let running = 0;
  let isOver = false;

  // A clock that is set does not end a connection.
  const now = () => ctx.clock.monotonic();
  const follow = ({ state: next, frames, closing }: ShellStep): void => {
    state = next;
    for (const frame of frames) channel.send(frame);
    if (!closing) return;
    isOver = true;
    channel.close(closing);
  };
  const obey = async (text: string): Promise<void> => {
    if (isOver) return;
    const step = takeFrame(state, text, now());
    follow(step);
    if (step.command) follow(await runCommand(ctx, state, step.command, { execId: ctx.ids.uid(), now }));
  };
  const queue = (text: string): Promise<void> => {
    running += 1;
    line = line
      .then(() => obey(text))
      .finally(() => {
        running -= 1;
      });
    return line;
  };

  follow({ ...begun, state: { ...state, usedAt: now() } });
  return {
    about: state.about,
    receive: async (text) => (isPing(text) ? follow(takeFrame(state, text, now())) : queue(text)),
    look: async () => ((await findUsable(ctx, state.id, state.uid)) ? undefined : gone),
    overdue: () => (running === 0 ? overdue(state, now()) : undefined),
    end: () => {
      isOver = true;
    },
  };
}
