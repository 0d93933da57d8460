// Usage: node web.mjs CHROMIUM CASES.json: runs each case with onnxruntime-web in headless Chromium.
// The page asks this server for the cases and posts what it found.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [chromium, path] = process.argv.slice(2);
const content = JSON.parse(readFileSync(path, "utf8"));
const engine = join(import.meta.dirname, "node_modules", "onnxruntime-web", "dist");
const PAGE = `<!doctype html><meta charset="utf-8"><script type="module">
  try {
    const ort = await import("/engine/ort.wasm.min.mjs");
    const { scoresOf } = await import("/client.mjs");
    ort.env.wasm.wasmPaths = "/engine/";
    ort.env.wasm.numThreads = 1;
    const { cases, texts } = await (await fetch("/cases.json")).json();
    const found = [];
    for (const [index, { lower }] of cases.entries()) {
      const session = await ort.InferenceSession.create("/model/" + index);
      found.push(await scoresOf(ort, session, texts, lower));
    }
    await fetch("/found", { method: "POST", body: JSON.stringify(found) });
  } catch (error) {
    await fetch("/failed", { method: "POST", body: String(error && error.stack || error) });
  }
</script>`;
const KINDS = { html: "text/html", mjs: "text/javascript", wasm: "application/wasm" };

function answer(url) {
  if (url === "/") return [PAGE, KINDS.html];
  if (url === "/client.mjs") return [readFileSync(join(import.meta.dirname, "client.mjs")), KINDS.mjs];
  if (url === "/cases.json") return [JSON.stringify(content), "application/json"];
  if (url.startsWith("/model/")) return [readFileSync(content.cases[url.slice(7)].model), ""];
  const name = /^\/engine\/([\w.-]+)$/.exec(url)?.[1];
  return name && [readFileSync(join(engine, name)), KINDS[name.split(".").at(-1)]];
}

const profile = mkdtempSync(join(tmpdir(), "gatelet-chromium-"));
let browser;
function end(code) {
  browser.removeAllListeners("exit");
  browser.on("exit", () => {
    try {
      rmSync(profile, { recursive: true, force: true, maxRetries: 20 });
    } catch (error) { // its children may outlive it: a folder that stays is no wrong answer
      process.stderr.write(`${error}\n`);
    }
    process.exit(code);
  });
  browser.kill("SIGKILL");
}

const server = createServer((request, response) => {
  if (request.method === "POST") {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      response.end();
      const ok = request.url === "/found";
      (ok ? process.stdout : process.stderr).write(Buffer.concat(parts), () => end(ok ? 0 : 1));
    });
    return;
  }
  const found = answer(request.url);
  response.writeHead(found ? 200 : 404, { "content-type": found?.[1] ?? "" });
  response.end(found?.[0]);
});
server.listen(0, "127.0.0.1", () => {
  const flags = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    `--user-data-dir=${profile}`, `http://127.0.0.1:${server.address().port}/`,
  ];
  browser = spawn(chromium, flags, { stdio: "ignore" });
  browser.on("error", (error) => { process.stderr.write(String(error)); process.exit(1); });
  browser.on("exit", (code) => { process.stderr.write(`Chromium ended: ${code}`); process.exit(1); });
});
