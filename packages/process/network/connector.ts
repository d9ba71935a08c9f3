import { connect } from "node:net";

/** What is asked of the connector, and what it answers with each connection, or without one. */
export interface Wanted {
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

/**
 * The program that is started in the network of a run and connects there for whoever started it: a connection that is
 * handed over goes on in the other process, and belongs to the network in which it was made.
 */
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
