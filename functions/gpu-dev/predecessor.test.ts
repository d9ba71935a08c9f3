import { httpWorld } from "#testing/http-world.ts";
import { predecessorCases } from "#testing/predecessor-cases.ts";

predecessorCases(() => httpWorld({ access: { sshPort: 2222 } }));
