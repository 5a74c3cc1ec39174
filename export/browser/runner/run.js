// Runs a converted model in Node, or in headless Chromium by Playwright, for programs.py.
//
//     node run.js REQUEST.json
//
// REQUEST.json: {"runtime": "tfjs" or "litert", "model": model.json or a .tflite file, "chromium":
//   path of the program, or null for Node, "repeat": 1, "timeout": milliseconds,
//   "inputs": {"image": {"values": float32 in base64, "shape": [1, 256, 256, 3]}, ...},
//   "outputs": "FILE"}; for TF.js "backend": "wasm", "cpu" or "webgl"; for LiteRT.js, which runs in
//   Chromium alone and on wasm, "signature". Appends the output of each run to the file, as float32,
// and prints {"shape": of one, "milliseconds": [a time a run]}.

'use strict';
const fs = require('fs');
const path = require('path');
const {launch} = require('./browser.js');

const MODULES = path.join(__dirname, 'node_modules');
const TFJS_WASM = '@tensorflow/tfjs-backend-wasm/dist/';
const TFJS_SCRIPTS = ['@tensorflow/tfjs/dist/tf.min.js', `${TFJS_WASM}tf-backend-wasm.min.js`];
// Nothing listens here: each address is a file, below its first folder.
const HOST = 'http://localhost';
// LiteRT.js imports a package by its name.
const PAGE = `<script type="importmap">{"imports": {"@litertjs/wasm-utils":
  "${HOST}/modules/@litertjs/wasm-utils/dist/index.js"}}</script><body></body>`;
const TYPES = {'.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm'};

function read(roots, url) {
  const [, root, ...rest] = decodeURIComponent(new URL(url).pathname).split('/');
  return fs.readFileSync(path.join(roots[root], ...rest));
}

// The rest up to `runOnce` runs in either program: in Chromium by its source.
function valuesOf({values}) {
  const bytes = Uint8Array.from(atob(values), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

// Each returns a function that gives {shape, values} of an output.
async function loadTfjs(tf, {backend, wasmPaths, url, inputs}, options) {
  if (backend === 'wasm') tf.wasm.setWasmPaths(wasmPaths);
  if (!(await tf.setBackend(backend))) throw new Error(`there is no backend ${backend} here`);
  const model = await tf.loadGraphModel(url, options);
  const tensors = {};
  for (const [name, input] of Object.entries(inputs)) {
    tensors[name] = tf.tensor(valuesOf(input), input.shape, 'float32');
  }
  return async () => {
    const output = [await model.executeAsync(tensors)].flat()[0];
    const result = {shape: output.shape, values: await output.data()};
    output.dispose();
    return result;
  };
}

async function loadLitert({host, url, signature, inputs}) {
  const litert = await import(`${host}/modules/@litertjs/core/dist/index.js`);
  await litert.loadLiteRt(`${host}/modules/@litertjs/core/wasm/`);
  const model = await litert.loadAndCompile(url, {accelerator: 'wasm'});
  const tensors = {};
  for (const [name, input] of Object.entries(inputs)) {
    // Of z of a model without dropout, which has no numbers, LiteRT.js makes no tensor.
    if (input.shape.includes(0)) signature = 'serving_default';
    else tensors[name] = new litert.Tensor(valuesOf(input), input.shape);
  }
  return async () => {
    const {output} = await model.run(signature, tensors);
    const shape = [...output.type.layout.dimensions];
    const result = {shape, values: (await output.data()).slice()};
    output.delete();
    return result;
  };
}

async function runOnce(translate) {
  const start = performance.now();
  const {shape, values} = await translate();
  const milliseconds = performance.now() - start;
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let text = '';
  for (let first = 0; first < bytes.length; first += 32768) {
    text += String.fromCharCode(...bytes.subarray(first, first + 32768));
  }
  return {shape, milliseconds, values: btoa(text)};
}

// Returns a function that makes one run.
async function inNode(request, roots) {
  const tf = require('@tensorflow/tfjs');
  const wasm = require('@tensorflow/tfjs-backend-wasm');
  // One thread, as in a page: browsers give threads to sites with special headers only.
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  const fetchFunc = async (url) => new Response(read(roots, url));
  const wasmPaths = path.join(MODULES, TFJS_WASM);
  const translate = await loadTfjs({...tf, wasm}, {...request, wasmPaths}, {fetchFunc});
  return () => runOnce(translate);
}

async function inChromium(request, roots) {
  const {chromium} = require('playwright-core');
  const browser = await launch(
    chromium,
    {executablePath: request.chromium, args: ['--disable-gpu'], timeout: request.timeout});
  const page = await browser.newPage();
  await page.route('**', (route) => {
    const url = route.request().url();
    if (url === `${HOST}/`) return route.fulfill({contentType: 'text/html', body: PAGE});
    const contentType = TYPES[path.extname(url)] || 'application/octet-stream';
    return route.fulfill({contentType, body: read(roots, url)});
  });
  await page.goto(`${HOST}/`);
  let load;
  if (request.runtime === 'tfjs') {
    for (const file of TFJS_SCRIPTS) await page.addScriptTag({path: path.join(MODULES, file)});
    const wasmPaths = `${HOST}/modules/${TFJS_WASM}`;
    load = `(${loadTfjs})(tf, ${JSON.stringify({...request, wasmPaths})})`;
  } else {
    load = `(${loadLitert})(${JSON.stringify({...request, host: HOST})})`;
  }
  await page.addScriptTag({content: `${valuesOf}`});
  await page.evaluate(`${load}.then((translate) => { loaded = translate; })`);
  return () => page.evaluate(`(${runOnce})(loaded)`);
}

async function main() {
  const request = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
  // The shards of a TF.js model lie beside its folder.
  const root = path.dirname(path.dirname(request.model));
  const roots = {modules: MODULES, model: root};
  request.url = `${HOST}/model/${path.relative(root, request.model)}`;
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
