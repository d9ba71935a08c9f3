import { predecessorCases } from "#tests/fixtures/predecessor-cases.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";

predecessorCases(() => httpWorld({ access: { sshPort: 2222 } }));
