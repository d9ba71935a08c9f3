import { connect } from "node:net";

export interface Wanted {
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

/** Program that connects inside a run's network for its parent. Sockets that it hands over stay in that network. */
function main(): void {
  process.on("message", ({ id, host, port }: Wanted) => {
    const socket = connect({ host, port, noDelay: true }).pause();
    const fail = () => process.send?.({ id });
    socket.once("error", fail).once("connect", () => {
      socket.off("error", fail).on("error", () => undefined);
      process.send?.({ id }, socket);
    });
  });
  process.once("disconnect", () => process.exit(0));
}

main();
