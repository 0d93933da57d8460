// The child of the wasm backend: frames on standard input are asked, and answered on standard output.
// A frame is the length of its header as uint32, the header in JSON, and the parts whose lengths it has.
import { readSync, writeSync } from "node:fs";
import { open } from "./engine.mjs";

const utf8 = new TextDecoder();
const TYPES = { int32: Int32Array, float32: Float32Array };

function read(bytes) {
  const found = new Uint8Array(bytes);
  for (let at = 0; at < bytes; ) {
    const some = readSync(0, found, at, bytes - at);
    if (!some) process.exit(0);
    at += some;
  }
  return found;
}

function receive() {
  const header = JSON.parse(utf8.decode(read(new DataView(read(4).buffer).getUint32(0, true))));
  return { ...header, parts: header.bytes.map(read) };
}

function send(header, parts = []) {
  const told = new TextEncoder().encode(JSON.stringify({ ...header, bytes: parts.map((one) => one.byteLength) }));
  const length = new Uint8Array(new Uint32Array([told.length]).buffer);
  for (const part of [length, told, ...parts]) {
    const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
  }
}

const ASKED = {
  async open({ parts, codes, words }) {
    const weights = parts[codes];
    engine = await open(parts.slice(0, codes), weights, words ? parts[codes + 1] : null);
    return [{ forms: engine.forms, maxlen: engine.maxlen }];
  },
  run({ form, shapes, parts }) {
    const given = parts.map((part, i) => ({
      shape: shapes[i],
      data: new TYPES[engine.forms[form].inputs[i][1]](part.buffer),
    }));
    const made = engine.run(form, given);
    return [{ shapes: made.map((one) => one.shape) }, made.map((one) => one.data)];
  },
  ids({ parts }) {
    return [{}, [engine.ids(utf8.decode(parts[0]))]];
  },
};

let engine;
send({ node: process.versions.node });
for (;;) {
  const asked = receive();
  try {
    send(...(await ASKED[asked.ask](asked)));
  } catch (error) {
    send({ error: error.message });
  }
}
