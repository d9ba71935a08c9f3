import { copyFile, mkdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildGatewayImage } from "./images/gateway-image.ts";
import { type BuiltImage, buildToolsImage, findMissingForTools } from "./images/tools-image.ts";

/** `npm run images` builds the images of images/ into dist/images, as OCI archives with their SBOMs. */
process.chdir(fileURLToPath(new URL("..", import.meta.url)));
try {
  const missing = await findMissingForTools(process.env);
  if (missing !== undefined) throw new Error(missing);
  await buildImages();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}

async function buildImages(): Promise<void> {
  const to = join("dist", "images");
  await mkdir(to, { recursive: true });
  console.log("Building images/tools: two minutes of a processor, unless it is in the cache");
  await keep(await buildToolsImage(process.env), to, "berth-tools");
  console.log("Building the image of the gateway");
  await keep(await buildGatewayImage(process.env), to, "berth-gateway");
}

async function keep({ archive, sbom, digest }: BuiltImage, to: string, name: string): Promise<void> {
  const files = [archive, sbom].map((file) => ({ from: file, to: join(to, basename(file)) }));
  for (const file of files) await copyFile(file.from, file.to);
  for (const file of files) console.log(`${file.to}  ${(await stat(file.to)).size} bytes`);
  console.log(`${name}@${digest}`);
}
