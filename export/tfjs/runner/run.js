// Runs a TF.js graph model in Node, or in headless Chromium by Playwright, for programs.py.
//
//     node run.js REQUEST.json
//
// REQUEST.json: {"model": folder of model.json, "chromium": path of the program, or null for Node,
//   "backend": "wasm", "cpu" or "webgl", "repeat": 1, "timeout": milliseconds,
//   "inputs": {"image": {"values": float32 in base64, "shape": [1, 256, 256, 3]}, ...},
//   "outputs": "FILE"}. Appends the output of each run to the file, as float32, and prints
// {"shape": of one, "milliseconds": [a time a run]}.

'use strict';
const fs = require('fs');
const path = require('path');
const {launch} = require('./browser.js');

const MODULES = path.join(__dirname, 'node_modules', '@tensorflow');
// Nothing listens here: each address is a file, below its first folder.
const HOST = 'http://localhost';

function read(roots, url) {
  const [, root, ...rest] = decodeURIComponent(new URL(url).pathname).split('/');
  return fs.readFileSync(path.join(roots[root], ...rest));
}

// These two run in either program: in Chromium by their source.
async function load(tf, {backend, wasmPaths, url, inputs}, options) {
  if (backend === 'wasm') tf.wasm.setWasmPaths(wasmPaths);
  if (!(await tf.setBackend(backend))) throw new Error(`there is no backend ${backend} here`);
  const model = await tf.loadGraphModel(url, options);
  const tensors = {};
  for (const [name, {values, shape}] of Object.entries(inputs)) {
    const bytes = Uint8Array.from(atob(values), (letter) => letter.charCodeAt(0));
    tensors[name] = tf.tensor(new Float32Array(bytes.buffer), shape, 'float32');
  }
  return {model, tensors};
}

async function runOnce({model, tensors}) {
  const start = performance.now();
  const output = [await model.executeAsync(tensors)].flat()[0];
  const values = await output.data();
  const milliseconds = performance.now() - start;
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let text = '';
  for (let first = 0; first < bytes.length; first += 32768) {
    text += String.fromCharCode(...bytes.subarray(first, first + 32768));
  }
  const shape = output.shape;
  output.dispose();
  return {shape, milliseconds, values: btoa(text)};
}

// Returns a function that makes one run.
async function inNode(request, roots) {
  const tf = require('@tensorflow/tfjs');
  const wasm = require('@tensorflow/tfjs-backend-wasm');
  // One thread, as in a page: browsers give threads to sites with special headers only.
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  const fetchFunc = async (url) => new Response(read(roots, url));
  const wasmPaths = path.join(MODULES, 'tfjs-backend-wasm', 'dist', path.sep);
  const loaded = await load({...tf, wasm}, {...request, wasmPaths}, {fetchFunc});
  return () => runOnce(loaded);
}

async function inChromium(request, roots) {
  const {chromium} = require('playwright-core');
  const browser = await launch(
    chromium,
    {executablePath: request.chromium, args: ['--disable-gpu'], timeout: request.timeout});
  const page = await browser.newPage();
  await page.route('**', (route) => {
    const url = route.request().url();
    if (url === `${HOST}/`) return route.fulfill({contentType: 'text/html', body: ' '});
    const contentType = url.endsWith('.wasm') ? 'application/wasm' : 'application/octet-stream';
    return route.fulfill({contentType, body: read(roots, url)});
  });
  await page.goto(`${HOST}/`);
  for (const file of ['tfjs/dist/tf.min.js', 'tfjs-backend-wasm/dist/tf-backend-wasm.min.js']) {
    await page.addScriptTag({path: path.join(MODULES, file)});
  }
  const wasmPaths = `${HOST}/modules/tfjs-backend-wasm/dist/`;
  await page.evaluate(
    `(${load})(tf, ${JSON.stringify({...request, wasmPaths})}).then((one) => { loaded = one; })`);
  return () => page.evaluate(`(${runOnce})(loaded)`);
}

async function main() {
  const request = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
  const roots = {modules: MODULES, model: path.dirname(request.model)};
  request.url = `${HOST}/model/${path.basename(request.model)}/model.json`;
  const run = await (request.chromium ? inChromium : inNode)(request, roots);
  const milliseconds = [];
  let shape;
  for (let number = 0; number < request.repeat; number++) {
    const result = await run();
    fs.appendFileSync(request.outputs, Buffer.from(result.values, 'base64'));
    milliseconds.push(result.milliseconds);
    shape = result.shape;
  }
  console.log(JSON.stringify({shape, milliseconds}));
}

main().then(() => process.exit(0), (error) => {
  console.error(String((error && error.message) || error));
  process.exit(1);
});
