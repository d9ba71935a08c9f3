import { existsSync } from "node:fs";
import { join } from "node:path";
import { newKeyText, readKeyId } from "#aws/kms/key-file-sealer.ts";
import type { Stored } from "#core/ports/table.ts";
import { sealingKeyKey } from "#core/store/keys.ts";
import { type Writing, writeRecord } from "#core/store/write-record.ts";
import { writeOnce } from "./secret-file.ts";

interface SealingKey extends Stored {
  readonly kind: "sealing-key";
  readonly id: string;
}

/**
 * Returns the file with this home's sealing key, and creates it on the first start. Throws with advice if the records
 * were sealed with another key, because their jobs could never start.
 */
export async function sealingKey(ctx: Writing, home: string): Promise<string> {
  const file = join(home, "sealer.key");
  const knownItem = await ctx.table.get(sealingKeyKey);
  if (knownItem && !existsSync(file)) throw refusal(home, `The key ${file} is gone, which`);
  writeOnce(file, newKeyText);
  const id = readKeyId(file);
  if (knownItem && knownItem.id !== id) throw refusal(home, `The key in ${file} is not the one that`);
  const record: SealingKey = { ...sealingKeyKey, writers: [], kind: "sealing-key", id };
  if (!knownItem) await writeRecord(ctx, record);
  return file;
}

function refusal(home: string, subject: string): Error {
  const { pk } = sealingKeyKey;
  const database = join(home, "records.db");
  return new Error(
    `${subject} the records in ${database} were sealed with.\n` +
      "Put it back from a copy: without it no command, variable and token of a job can be opened.\n" +
      `To give these up and keep everything else: sqlite3 ${database} "DELETE FROM items WHERE pk = '${pk}'"`,
  );
}
