import type { Channel, SocketSession } from "#http/socket.ts";
import { pollShell, runCommand, type ShellContext } from "./shell-command.ts";
import { isPing, overdue, type ShellStep, takeFrame, takePoll } from "./shell-step.ts";

export function shellSession(ctx: ShellContext, begun: ShellStep, channel: Channel): SocketSession {
  let { state } = begun;
  let line: Promise<void> = Promise.resolve();
  let running = 0;
  let isOver = false;

  // Monotonic, so setting the clock does not end a connection.
  const now = () => ctx.clock.monotonic();
  const follow = ({ state: next, frames, closing }: ShellStep): void => {
    // A long step started with an older state, so keep the newer `told`.
    state = { ...next, told: Math.max(state.told, next.told) };
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
    poll: () => pollShell(ctx, state),
    show: (found) => {
      if (!isOver) follow(takePoll(state, found));
    },
    overdue: () => (running === 0 ? overdue(state, now()) : undefined),
    end: () => {
      isOver = true;
    },
  };
}
