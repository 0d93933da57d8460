// Opens a page in headless Chromium and tells, as JSON, what it asked for and said, whether it
// overflows, what axe-core finds, and with a folder given, how it looks.
//
// usage: node look.mjs CHROMIUM PAGE [FOLDER]

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const WIDTHS = [360, 1400];
const SCHEMES = ["light", "dark"];
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const [executablePath, page, folder] = process.argv.slice(2);
const address = pathToFileURL(page).href;

async function look(browser, width, colorScheme) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  const tab = await context.newPage();
  const requests = [];
  const messages = [];
  tab.on("request", (request) => requests.push(request.url()));
  tab.on("console", (message) => messages.push(message.text()));
  tab.on("pageerror", (error) => messages.push(String(error)));
  await tab.goto(address);
  const sizes = await tab.evaluate(() => ({
    page: document.documentElement.scrollWidth,
    window: document.documentElement.clientWidth,
    text: Math.min(
      ...[...document.querySelectorAll("main svg:not([aria-hidden]) text")].map(
        (one) => one.getBoundingClientRect().height,
      ),
    ),
  }));
  if (folder) {
    await tab.screenshot({ path: join(folder, `${colorScheme}-${width}.png`), fullPage: true });
  }
  await tab.evaluate(axe);
  const found = await tab.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  await context.close();
  return {
    width,
    colorScheme,
    requests: requests.filter((url) => url !== address && !url.startsWith("data:")),
    messages,
    sizes,
    rules: found.violations.length + found.passes.length,
    violations: found.violations.map((one) => ({
      id: one.id,
      impact: one.impact,
      nodes: one.nodes.slice(0, 5).map((node) => `${node.html.slice(0, 200)} ${node.failureSummary}`),
    })),
  };
}

const browser = await chromium.launch({ executablePath, args: FLAGS });
const looks = [];
for (const width of WIDTHS) {
  for (const scheme of SCHEMES) {
    looks.push(await look(browser, width, scheme));
  }
}
await browser.close();
console.log(JSON.stringify(looks));
