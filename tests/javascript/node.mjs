// Usage: node node.mjs CASES.json: runs each case with onnxruntime-node and prints what it gives.
import { readFileSync } from "node:fs";
import ort from "onnxruntime-node";
import { scoresOf } from "./client.mjs";

const { cases, texts } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const found = [];
for (const { model, lower } of cases) {
  const session = await ort.InferenceSession.create(model);
  found.push(await scoresOf(ort, session, texts, lower));
}
process.stdout.write(JSON.stringify(found));
