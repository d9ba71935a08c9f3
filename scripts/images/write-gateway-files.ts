import { prepareGateway, writeGatewayFiles } from "./gateway-files.ts";

/** `node scripts/images/write-gateway-files.ts <folder>`: images/gateway/Dockerfile fills its image so. */
const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("Usage: write-gateway-files.ts <folder>");
await writeGatewayFiles(folder, await prepareGateway());
