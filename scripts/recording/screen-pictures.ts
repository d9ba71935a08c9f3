import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { BrowserContext, Page } from "playwright-core";

/** Screen of the console, by a name for its file. */
export interface Screen {
  readonly name: string;
  readonly path: string;
  /** Brings the page into the state of the picture, such as an open dialog. */
  prepare?(page: Page): Promise<unknown>;
}

const widths = [360, 1280, 1920] as const;
const longest = 1800;

/** Takes each screen at three widths, in light and dark, as `<folder>/<name>-<state>-<width>-<scheme>.png`. */
export async function takePictures(
  context: BrowserContext,
  url: string,
  { folder, state, screens }: { readonly folder: string; readonly state: string; readonly screens: readonly Screen[] },
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const page = await context.newPage();
  if (state === "failing") await refuseAll(page);
  for (const { name, path, prepare } of screens) {
    await page.setViewportSize({ width: widths[0], height: 800 });
    await page.goto(url + path);
    await untilLoaded(page);
    await prepare?.(page);
    for (const width of widths) {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        await page.setViewportSize({ width, height: 800 });
        const height = await page.evaluate<number>("document.documentElement.scrollHeight");
        // A dialog is as high as its window, and a page may be longer.
        if (height > 800) await page.setViewportSize({ width, height: Math.min(height, longest) });
        const file = `${name}-${state}-${width}-${colorScheme}.png`;
        await page.screenshot({ path: join(folder, file), animations: "disabled" });
      }
    }
  }
  await page.close();
}

/** Answers every read as a stack that lost its database would, but the one that says who is logged in. */
async function refuseAll(page: Page): Promise<void> {
  const body = { detail: "Service unavailable" };
  await page.route(
    (address) => address.pathname.startsWith("/v1/") && address.pathname !== "/v1/me",
    (route) => route.fulfill({ status: 503, json: body }),
  );
}

async function untilLoaded(page: Page): Promise<void> {
  await page.locator("h1").waitFor();
  await page
    .locator(".loading")
    .or(page.getByText(/^(Asking|Reading the log) …$/))
    .first()
    .waitFor({ state: "detached" });
}
