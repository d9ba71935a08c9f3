import { describe, expect, it } from "vitest";
import type { Sealer } from "#core/ports/sealer.ts";
import { asSealed, WrongSeal } from "#core/store/sealed.ts";

/** Conformance tests of Sealer. */
export function sealerConformance(open: () => Promise<Sealer>): void {
  describe("sealing", () => {
    it.each(["", "secret", "Zoë 🚀 \u0000", "x".repeat(40_000)])("opens its own sealed text (%#)", async (text) => {
      const sealer = await open();

      const sealed = await sealer.seal(text, "owner#a|1");

      expect(await sealer.open(sealed, "owner#a|1")).toBe(text);
    });

    it("does not show the text", async () => {
      const sealer = await open();

      const sealed = await sealer.seal("hunter2hunter2", "owner#a|1");

      expect(sealed).not.toContain("hunter2");
    });

    it("does not open text sealed for another record", async () => {
      const sealer = await open();
      const sealed = await sealer.seal("secret", "owner#a|1");

      await expect(sealer.open(sealed, "owner#b|1")).rejects.toThrow(WrongSeal);
    });

    it("does not open changed, cut or forged text", async () => {
      const sealer = await open();
      const sealed = await sealer.seal("secret", "owner#a|1");
      const middle = Math.floor(sealed.length / 2);
      const otherName = sealed[middle] === "A" ? "B" : "A";
      const changed = sealed.slice(0, middle) + otherName + sealed.slice(middle + 1);

      for (const text of [changed, sealed.slice(0, -4), sealed.slice(4), "", "secret", "🚀"]) {
        await expect(sealer.open(asSealed(text), "owner#a|1")).rejects.toThrow(WrongSeal);
      }
    });
  });
}
