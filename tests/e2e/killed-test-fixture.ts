import { openStackFixture } from "./stack-fixture.ts";

/** Starts a stack, prints its home, and waits to be killed. */
const fixture = openStackFixture("berth-killed-test-");
await fixture.start();
process.stdout.write(fixture.home);
setInterval(() => {}, 1_000_000);
