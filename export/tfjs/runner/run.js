// Runs a TF.js graph model for programs.py, in a page that it serves or in Node:
//
//     node run.js http://127.0.0.1:PORT/
//
// GET request gives {"signature": ..., "backend": "wasm", "cpu" or "webgl", "repeat": 1,
//   "inputs": {"image": {"values": float32 in base64, "shape": [1, 256, 256, 3]}, ...}}.
// Each run is posted to "result": {"values", "shape", "milliseconds"}; or {"error": text}.

'use strict';
const inNode = typeof window === 'undefined';
const address = inNode ? process.argv[2] : `${location.origin}/`;
const tfjs = inNode ? require('@tensorflow/tfjs') : tf;

function useWasm() {
  if (!inNode) {
    return tfjs.wasm.setWasmPaths('/modules/@tensorflow/tfjs-backend-wasm/dist/');
  }
  const file = require.resolve('@tensorflow/tfjs-backend-wasm');
  require(file).setWasmPaths(require('path').join(file, '..', '/'));
  // One thread, as in a page: browsers give threads to sites with special headers only.
  tfjs.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
}

function decode(text) {
  return new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
}

function encode(values) {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let text = '';
  for (let start = 0; start < bytes.length; start += 32768) {
    text += String.fromCharCode(...bytes.subarray(start, start + 32768));
  }
  return btoa(text);
}

const send = (result) => fetch(`${address}result`, {method: 'POST', body: JSON.stringify(result)});

async function main() {
  const request = await (await fetch(`${address}request`)).json();
  if (request.backend === 'wasm') useWasm();
  if (!(await tfjs.setBackend(request.backend))) {
    throw new Error(`there is no backend ${request.backend} here`);
  }
  const model = await tfjs.loadGraphModel(`${address}model/${request.signature}/model.json`);
  const inputs = {};
  for (const [name, {values, shape}] of Object.entries(request.inputs)) {
    inputs[name] = tfjs.tensor(decode(values), shape, 'float32');
  }
  for (let run = 0; run < request.repeat; run++) {
    const start = performance.now();
    const output = [await model.executeAsync(inputs)].flat()[0];
    const values = await output.data();
    const milliseconds = performance.now() - start;
    await send({shape: output.shape, values: encode(values), milliseconds});
    output.dispose();
  }
}

main().catch((error) => send({error: String((error && error.message) || error)}));
