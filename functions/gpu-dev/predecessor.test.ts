import { httpWorld } from "#testing/http-world.ts";
import { predecessorCases } from "#testing/predecessor-cases.ts";

predecessorCases(() => httpWorld({ doors: { sshPort: 2222 } }));
