// What any JavaScript client of an onnx-text file does, and nothing more.
// Not the engine, which is given: onnxruntime-node or onnxruntime-web.

export async function scoresOf(ort, session, texts, lower) {
  const found = [];
  for (const text of texts) {
    const given = prepared(text, lower);
    const tensor = new ort.Tensor("string", [given], [1]);
    const outputs = await session.run({ text: tensor });
    const { ids, ...others } = outputs;
    const [scores] = Object.values(others);
    found.push({ given, ids: Array.from(ids.data), scores: Array.from(scores.data) });
  }
  return found;
}

function prepared(text, lower) {
  const lowered = lower ? text.toLowerCase() : text;
  // half of a surrogate pair is no UTF-8; the vocabulary has it as a private character
  return lowered.replace(/[\ud800-\udfff]/gu, (half) =>
    String.fromCodePoint(0xf0000 + half.charCodeAt(0) - 0xd800),
  );
}
