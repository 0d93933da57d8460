// A model of the target wasm in JavaScript: memory, inputs, outputs. What predicts in Python (a Node
// child) and in npm packages is this file. Not labels, nor where bytes come from.
const utf8 = new TextEncoder();
const LARGEST = 2 ** 20;
const BAD_ARGUMENT = 1, BAD_ID = 2;

/** What went wrong: `code` is for programs, the message for people. */
export class GateletError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "GateletError";
    this.code = code;
  }
}

const aligned = (bytes) => (bytes + 63) & ~63;
const count = (shape) => shape.reduce((a, b) => a * b, 1);

/** Make an instance of the first code that this engine can run, with its weights and vocabulary. */
export async function open(codes, weights, vocabulary) {
  if (typeof WebAssembly !== "object") {
    throw new GateletError("unsupported", "there is no WebAssembly here, which the model needs");
  }
  const code = codes.find((one) => WebAssembly.validate(one));
  if (code === undefined) throw new GateletError("damaged", "the code of the model is damaged: install it again");
  let made;
  try {
    made = await WebAssembly.instantiate(code, {});
  } catch (error) {
    throw new GateletError("unsupported", `WebAssembly is refused here (${error.message}): a Content-Security-Policy needs script-src 'wasm-unsafe-eval'`);
  }
  return new Engine(made.instance.exports, weights, vocabulary);
}

export class Engine {
  #code;
  #weights;
  #vocabulary = 0;
  #free;

  constructor(code, weights, vocabulary) {
    this.#code = code;
    this.#free = aligned(code.heap());
    this.#weights = this.#keep(weights);
    if (vocabulary) this.#vocabulary = this.#keep(vocabulary);
    if (code.check(this.#weights, weights.length)) {
      throw new GateletError("damaged", "the weights do not belong to the code: install the model again");
    }
    /** By form, whole sequences and pieces: inputs [name, dtype, shape], outputs [name, dtype]. */
    this.forms = Array.from({ length: code.forms() }, (_, form) => this.#describe(form));
    /** The ids of a text; 0 where the code reads no texts. */
    this.maxlen = vocabulary && code.ids ? this.forms[0].texts : 0;
  }

  #describe(form) {
    const bytes = new Uint8Array(this.#code.memory.buffer), start = this.#code.description(form);
    const text = new TextDecoder().decode(bytes.slice(start, bytes.indexOf(0, start)));
    const found = { inputs: [], outputs: [], texts: 0 };
    for (const [what, ...told] of text.trim().split("\n").map((line) => JSON.parse(line))) {
      if (what === "input") found.inputs.push(told);
      else if (what === "output") found.outputs.push([told[0], told[1] ?? "float32"]);
      else found.texts = told[0];
    }
    return found;
  }

  #keep(bytes) {
    const at = this.#free;
    this.#free = aligned(at + bytes.length);
    this.#reach(this.#free);
    new Uint8Array(this.#code.memory.buffer).set(bytes, at);
    return at;
  }

  #reach(end) {
    const { memory } = this.#code, missing = end - memory.buffer.byteLength;
    if (missing <= 0) return;
    try {
      memory.grow(Math.ceil(missing / 65536));
    } catch {
      throw new GateletError("memory", `there is no memory for ${end} bytes: give fewer or shorter rows`);
    }
  }

  /** The ids of a text, padded: half a surrogate pair is read as U+FFFD. */
  ids(text) {
    const bytes = utf8.encode(text), at = this.#free, out = aligned(at + bytes.length);
    this.#reach(out + 4 * this.maxlen);
    new Uint8Array(this.#code.memory.buffer).set(bytes, at);
    if (this.#code.ids(this.#vocabulary, at, bytes.length, out) < 0) {
      throw new GateletError("damaged", "the vocabulary does not belong to the code: install the model again");
    }
    return new Int32Array(this.#code.memory.buffer, out, this.maxlen).slice();
  }

  /** Run rows: `given` has {data, shape} for each input; returns {name, data, shape} of each output. */
  run(form, given) {
    const { inputs, outputs } = this.forms[form], code = this.#code, rows = given[0].shape[0];
    const sizes = inputs.flatMap(([, , shape], i) => given[i].shape.filter((_, axis) => axis && shape[axis] === null));
    if (sizes.some((size) => size < 0 || size > LARGEST)) throw new GateletError("input", `a size is above ${LARGEST}`);
    let end = this.#free;
    const take = (bytes) => {
      const at = end;
      end = aligned(end + bytes);
      return at;
    };
    const sizesAt = take(4 * sizes.length + 4), shapeAt = take(32);
    this.#reach(end);
    const words = (at, values) => new Int32Array(code.memory.buffer, at, values.length).set(values);
    words(sizesAt, sizes);
    const scratchBytes = code.scratch(form, rows, sizesAt) >>> 0;
    const shapes = outputs.map((_, i) => {
      const rank = code.shape(form, i, rows, sizesAt, shapeAt);
      return Array.from(new Int32Array(code.memory.buffer, shapeAt, rank));
    });
    const from = given.map(({ data }) => take(data.byteLength)), to = shapes.map((one) => take(4 * count(one)));
    const fromAt = take(4 * from.length), toAt = take(4 * to.length), scratchAt = take(0);
    if (scratchBytes === 0xffffffff || scratchAt + scratchBytes > 0xffff0000) {
      throw new GateletError("memory", `there is no memory for ${rows} rows: give fewer or shorter ones`);
    }
    this.#reach(scratchAt + scratchBytes);
    given.forEach(({ data }, i) => {
      new Uint8Array(code.memory.buffer, from[i], data.byteLength).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    });
    words(fromAt, from);
    words(toAt, to);
    const status = code.run(form, this.#weights, fromAt, sizesAt, rows, toAt, scratchAt);
    if (status === BAD_ID) throw new GateletError("input", "an id is outside the vocabulary");
    if (status === BAD_ARGUMENT) throw new GateletError("input", "a size is out of range");
    if (status) throw new GateletError("damaged", "the weights do not belong to the code: install the model again");
    return outputs.map(([name, dtype], i) => {
      const Numbers = dtype === "int32" ? Int32Array : Float32Array;
      return { name, shape: shapes[i], data: new Numbers(code.memory.buffer, to[i], count(shapes[i])).slice() };
    });
  }
}
